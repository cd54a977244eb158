package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// On a connection to its source, the upstream sends Pattern again and again, from when it accepts it to when the peer
// has ended its half; then an AppendTotals, and nothing more. What the peer sends is, after a first byte that is one of
// these, the same pattern.
const (
	UploadCounted  = 'n' // the upstream counts what comes,
	UploadCompared = 'c' // and looks at each byte as well
)

// TotalsBytes is the length of AppendTotals.
const TotalsBytes = 24

// AppendTotals appends what the upstream knows at a stream's end: how many bytes of Pattern it has sent and received,
// and how many pieces of them were not what they had to be.
func AppendTotals(b []byte, sent, received, wrong int64) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(sent))
	b = binary.BigEndian.AppendUint64(b, uint64(received))
	return binary.BigEndian.AppendUint64(b, uint64(wrong))
}

const (
	// bulkBytes is how much is taken from a stream, or given to it, at once.
	bulkBytes = 512 << 10
	// bulkPatience is how long nothing may come on any stream.
	bulkPatience = 10 * time.Second
)

// streams is the loader of Bulk. Of what comes it lets the kernel throw the bytes away and tell their number, unless a
// phase is to compare them: as much as a client can take, so that it is not what is measured.
//
// Streams stay open from one phase to the next, and wait there with full buffers, until one with Phase.Finish.
type streams struct {
	cfg     Config
	addr    unix.SockaddrInet4
	epoll   int
	events  []unix.EpollEvent
	all     []flow
	open    int
	in      []byte
	pattern []byte
	compare bool // in the phase that runs
	finish  bool // the streams are being ended
	tally   *tally
}

// flow is one stream.
type flow struct {
	fd        int   // -1: none
	got, sent int64 // bytes of the pattern
	gotBefore int64 // the phase
	tail      []byte
	failed    bool
}

func newStreams(cfg Config) (*streams, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &streams{cfg: cfg, addr: unix.SockaddrInet4{Port: int(cfg.Addr.Port()), Addr: cfg.Addr.Addr().As4()}}
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	s.all = make([]flow, cfg.Conns)
	for i := range s.all {
		s.all[i].fd = -1
	}
	s.events = make([]unix.EpollEvent, max(cfg.Conns, 1))
	s.in, s.pattern = make([]byte, bulkBytes+TotalsBytes), Pattern(bulkBytes+PatternPeriod)
	return s, nil
}

// Close closes everything.
func (s *streams) Close() {
	for i := range s.all {
		s.close(&s.all[i])
	}
	_ = unix.Close(s.epoll)
}

func (s *streams) close(f *flow) {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd = -1
		s.open--
	}
}

// Run opens the streams that are not open, and takes what comes on them for a phase. Its result counts streams as
// requests, and one as answered that has carried something and nothing wrong.
func (s *streams) Run(p Phase) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if p.Rate > 0 || p.Warm > 0 {
		return nil, errors.New("load: found a rate or a warm-up for streams, expected neither")
	}
	s.tally, s.compare, s.finish = newTally(0), p.Compare, false
	for i := range s.all {
		f := &s.all[i]
		if f.failed = false; f.fd < 0 {
			if err := s.begin(f, int32(i)); err != nil {
				s.fail(f, &s.tally.Errors.Connect, fmt.Errorf("connect: %w", err))
			}
		}
		f.gotBefore = f.got + f.sent
	}
	start := time.Now()
	if err := s.carry(func() bool { return time.Since(start) >= p.Length }); err != nil {
		return nil, err
	}
	t := s.tally
	t.Began, t.Elapsed = start, time.Since(start)
	for i := range s.all {
		t.Bytes += s.all[i].got + s.all[i].sent - s.all[i].gotBefore
	}
	if p.Finish {
		if err := s.end(); err != nil {
			return nil, err
		}
	}
	for i := range s.all {
		f := &s.all[i]
		t.Requests++
		if !f.failed {
			t.Answered++
		}
	}
	return t.result(nil), nil
}

// begin opens a stream.
func (s *streams) begin(f *flow, index int32) (err error) {
	if f.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	s.open++
	f.got, f.sent, f.tail = 0, 0, f.tail[:0]
	if err = unix.Connect(f.fd, &s.addr); err == nil {
		err = unix.SetNonblock(f.fd, true)
	}
	events := uint32(unix.EPOLLIN)
	if s.cfg.Duplex {
		events |= unix.EPOLLOUT
		order := byte(UploadCounted)
		if s.compare {
			order = UploadCompared
		}
		if err == nil {
			_, err = unix.Write(f.fd, []byte{order})
		}
	}
	if err == nil {
		err = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, f.fd, &unix.EpollEvent{Events: events, Fd: index})
	}
	return err
}

// carry takes what comes until enough is true, or no stream is left.
func (s *streams) carry(enough func() bool) error {
	last := time.Now()
	for s.open > 0 && !enough() {
		select {
		case <-s.cfg.Stop:
			return ErrStopped
		default:
		}
		n, err := unix.EpollWait(s.epoll, s.events, int(longestWait/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for events: %w", err)
		}
		for i := range max(n, 0) {
			s.handle(&s.all[s.events[i].Fd], s.events[i].Events)
		}
		switch {
		case n > 0:
			last = time.Now()
		case time.Since(last) > bulkPatience:
			for i := range s.all {
				if f := &s.all[i]; f.fd >= 0 {
					s.fail(f, &s.tally.Errors.Unanswered, fmt.Errorf("nothing came for %s", bulkPatience))
				}
			}
		}
	}
	return nil
}

func (s *streams) handle(f *flow, events uint32) {
	if events&unix.EPOLLOUT != 0 && !s.finish {
		n, err := unix.Write(f.fd, s.pattern[f.sent%PatternPeriod:][:bulkBytes])
		if f.sent += int64(max(n, 0)); err != nil && err != unix.EAGAIN && err != unix.EINTR {
			s.fail(f, &s.tally.Errors.Lost, err)
			return
		}
	}
	if events&^unix.EPOLLOUT != 0 {
		s.receive(f)
	}
}

// receive takes what there is.
func (s *streams) receive(f *flow) {
	discard := unix.MSG_TRUNC
	held := copy(s.in, f.tail)
	if s.compare || s.finish {
		discard = 0
	}
	n, _, err := unix.Recvfrom(f.fd, s.in[held:][:bulkBytes], discard)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		s.fail(f, &s.tally.Errors.Lost, fmt.Errorf("stream lost after %d bytes: %w", f.got, err))
	case n == 0 && s.finish:
		s.settle(f)
	case n == 0:
		s.fail(f, &s.tally.Errors.Lost, fmt.Errorf("stream ended after %d bytes", f.got))
	case s.finish:
		b := s.in[:held+n]
		keep := min(len(b), TotalsBytes)
		s.take(f, b[:len(b)-keep])
		f.tail = append(f.tail[:0], b[len(b)-keep:]...)
	default:
		s.take(f, s.in[:n])
	}
}

// take counts bytes of the pattern, and compares them where that is wanted.
func (s *streams) take(f *flow, b []byte) {
	if s.compare && !bytes.Equal(b, s.pattern[f.got%PatternPeriod:][:len(b)]) {
		s.fail(f, &s.tally.Errors.Body, fmt.Errorf("not what was sent, among %d bytes from %d on", len(b), f.got))
		return
	}
	f.got += int64(len(b))
}

// end ends our half of all streams, and waits for the rest of the other one.
func (s *streams) end() error {
	s.finish = true
	for i := range s.all {
		f := &s.all[i]
		if f.fd < 0 {
			continue
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, f.fd, &event)
		if err == nil {
			err = unix.Shutdown(f.fd, unix.SHUT_WR)
		}
		if err != nil {
			s.fail(f, &s.tally.Errors.Lost, fmt.Errorf("end stream: %w", err))
		}
	}
	return s.carry(func() bool { return false })
}

// settle compares the counts of both ends of a stream that has ended.
func (s *streams) settle(f *flow) {
	order := int64(0)
	if s.cfg.Duplex {
		order = 1
	}
	want := AppendTotals(nil, f.got, f.sent, 0)
	if !bytes.Equal(f.tail, want) {
		s.fail(f, &s.tally.Errors.Body, fmt.Errorf("%d bytes came and %d were sent; the upstream ends with %x, not %x",
			f.got, f.sent+order, f.tail, want))
		return
	}
	s.close(f)
}

// fail counts a stream on which something went wrong, once, and closes it.
func (s *streams) fail(f *flow, count *int, why error) {
	s.tally.sample("%v", why)
	*count++
	f.failed = true
	s.close(f)
}
