package probe

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

func TestSelfTestPasses(t *testing.T) {
	if err := selfTest(2, openEpoll); err != nil {
		t.Errorf("epoll: %v", err)
	}
	fs := Features()
	for tier := T1; tier <= T3; tier++ {
		if f := fs.Missing(tier); f != nil {
			t.Logf("tier %s not tried: it needs %s (%v)", tier, f.Name, f.Err)
			continue
		}
		if err := selfTest(2, openUring(tier)); err != nil {
			t.Errorf("io_uring tier %s: %v", tier, err)
		}
	}
}

// faulty is a backend that works but for one thing.
type faulty struct {
	engine.Backend
	env    engine.Env
	open   error
	alter  func(f *faulty, events []engine.Event) []engine.Event
	robbed bool
}

func (f *faulty) Open(env engine.Env) error {
	if f.open != nil {
		return f.open
	}
	f.env = env
	return f.Backend.Open(env)
}

// Poll waits only while nothing was taken away: what the self-test waits for then would never come.
func (f *faulty) Poll(timeout int64, out []engine.Event) (int, error) {
	if f.robbed {
		timeout = 0
	}
	n, err := f.Backend.Poll(timeout, out)
	if f.alter == nil || err != nil {
		return n, err
	}
	kept := f.alter(f, out[:n])
	f.robbed = f.robbed || len(kept) < n
	return copy(out, kept), nil
}

// each applies fn to the events of one kind; false drops the event.
func each(kind engine.Kind, fn func(f *faulty, ev *engine.Event) bool) func(*faulty, []engine.Event) []engine.Event {
	return func(f *faulty, events []engine.Event) []engine.Event {
		var kept []engine.Event
		for _, ev := range events {
			if ev.Kind != kind || fn(f, &ev) {
				kept = append(kept, ev)
			}
		}
		return kept
	}
}

func TestSelfTestFindsFaults(t *testing.T) {
	drop := func(*faulty, *engine.Event) bool { return false }
	fail := func(_ *faulty, ev *engine.Event) bool { ev.Res = -int32(unix.EIO); return true }
	for name, c := range map[string]struct {
		open  error
		alter func(*faulty, []engine.Event) []engine.Event
		words string
	}{
		"open fails":      {unix.ENOMEM, nil, "cannot allocate memory"},
		"connect is lost": {nil, each(engine.EvConnected, drop), "waited in vain"},
		"connect fails":   {nil, each(engine.EvConnected, fail), "connect: input/output error"},
		"accept is lost":  {nil, each(engine.EvAccept, drop), "waited in vain"},
		"send is lost":    {nil, each(engine.EvSent, drop), "waited in vain"},
		"send is short": {nil, each(engine.EvSent, func(_ *faulty, ev *engine.Event) bool {
			ev.Res--
			return true
		}), "sent 19 of 20"},
		"receive is lost": {nil, each(engine.EvRecv, drop), "waited in vain"},
		"receive fails":   {nil, each(engine.EvRecv, fail), "receive: input/output error"},
		"close is lost":   {nil, each(engine.EvClosed, drop), "waited in vain"},
		"data changes": {nil, each(engine.EvRecv, func(f *faulty, ev *engine.Event) bool {
			if ev.Res > 0 {
				f.env.Mem.Bytes(mem.Span{Off: ev.Off, Len: 1})[0] ^= 1
			}
			return true
		}), "the data changed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := selfTest(2, func() engine.Backend {
				return &faulty{Backend: openEpoll(), open: c.open, alter: c.alter}
			})
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v, want one with %q", err, c.words)
			}
		})
	}
}

// startled is a backend each of whose Polls returns early once, as with a signal.
type startled struct {
	engine.Backend
	woken bool
}

func (s *startled) Poll(timeout int64, out []engine.Event) (int, error) {
	if s.woken = !s.woken; s.woken {
		return 0, nil
	}
	return s.Backend.Poll(timeout, out)
}

func TestSelfTestOutlastsSignals(t *testing.T) {
	if err := selfTest(2, func() engine.Backend { return &startled{Backend: openEpoll()} }); err != nil {
		t.Error(err)
	}
}
