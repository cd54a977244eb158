package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// Events of one turn meet what the ones before them have changed. These tests hand the worker such events themselves.

// do runs f on the shard's thread, behind a turn's events and before its end.
func (r *rig) do(f func(w *Worker)) {
	done := make(chan struct{})
	r.sh.Post(func() { f(r.w); close(done) })
	<-done
}

// find is the connection of the first link of a kind in a state; nil when there is none. On the shard's thread.
func (w *Worker) find(k kind, s state) *engine.Conn {
	for slot := range w.links {
		if l := &w.links[slot]; l.kind == k && l.state == s {
			return w.conns.At(uint32(slot))
		}
	}
	return nil
}

// until waits for something that is to be seen on the shard's thread.
func (r *rig) until(what string, seen func(w *Worker) bool) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		yes := false
		r.do(func(w *Worker) { yes = seen(w) })
		if yes {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%s does not come: %s", what, r.summary())
		}
	}
}

// await waits until there is a link of a kind in a state.
func (r *rig) await(k kind, s state) {
	r.t.Helper()
	r.until("the link", func(w *Worker) bool { return w.find(k, s) != nil })
}

// feed has the worker receive text on c, as if it had come before anything that c was asked to do in this turn.
func (w *Worker) feed(c *engine.Conn, text string) {
	buf, _ := w.mem.Take(mem.Small)
	span := w.mem.Data(buf)
	copy(w.mem.Bytes(span), text)
	w.Event(&engine.Event{
		Kind: engine.EvRecv, Flags: engine.FlagMore, Slot: c.Slot, Gen: c.Gen,
		Res: int32(len(text)), Off: span.Off, Buf: buf,
	})
}

// dial connects to the proxy and bounds how long anything may take.
func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// A link that was closed earlier in a turn does not line up for buffers: its slot is about to have another owner.
func TestClosedLinkIsNotStarved(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"127.0.0.1:1"}, nil)
		r.dial()
		r.await(kindClient, stateIdle)
		starved := 0
		r.do(func(w *Worker) {
			c := w.find(kindClient, stateIdle)
			w.closeClient(&w.links[c.Slot], c, false)
			w.Event(&engine.Event{
				Kind: engine.EvRecv, Slot: c.Slot, Gen: c.Gen, Res: -int32(unix.ENOBUFS), Buf: mem.NoBuf,
			})
			starved = w.starved.len
		})
		if starved != 0 {
			t.Errorf("%d links wait for buffers", starved)
		}
	})
}

// What an idle upstream has said before a request was sent to it is no answer to that request.
func TestUnsolicitedResponse(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "right") })
		r := start(t, open(), []string{up}, nil)
		c := r.dial()
		br := bufio.NewReader(c)
		read := func() string {
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := read(); got != "right" {
			t.Fatalf("first response %q", got)
		}
		r.await(kindClient, stateIdle)
		r.await(kindUpstream, statePooled)
		r.do(func(w *Worker) {
			upstream := w.find(kindUpstream, statePooled)
			w.feed(w.find(kindClient, stateIdle), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			w.feed(upstream, ok200+"Content-Length: 5\r\n\r\nwrong")
		})
		if got := read(); got != "right" {
			t.Errorf("second response %q", got)
		}
	})
}

// Heads that only happen to be cut by the end of a buffer need none of the few large ones.
func TestPipeliningTakesNoLargeBuffers(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
		r := start(t, open(), []string{up}, func(r *rig) { r.memory.Head = 0 })
		const n = 200
		one := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 300) + "\r\n"
		got := exchangeRaw(t, r.addr, strings.Repeat(one+"\r\n", n)+one+"Connection: close\r\n\r\n")
		if served := strings.Count(got, ok200); served != n+1 {
			t.Errorf("%d of %d requests served: %s", served, n+1, r.summary())
		}
	})
}
