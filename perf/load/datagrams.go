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

// datagramPatience is how long an answer to a datagram may take; it is lost then, and the next one is sent.
const datagramPatience = time.Second

// datagrams is the loader of the wire of that name: sockets, each of which sends the next datagram when the last one
// has come back or is lost.
type datagrams struct {
	cfg     Config
	epoll   int
	events  []unix.EpollEvent
	sockets []socket
	echo    *echo
	in      []byte
	serial  uint64 // of the last datagram
	start   time.Time
	clock   time.Duration
	end     time.Duration // when nothing more is sent
	waiting int           // sockets without an answer
	tally   *tally
}

// socket is one client.
type socket struct {
	fd    int
	owner uint64 // what all of its stamps have above socketShift
	stamp uint64 // of the last datagram
	away  bool   // it has not come back
	sent  time.Duration
}

// socketShift leaves room for the serial numbers of datagrams in stamps.
const socketShift = 40

func newDatagrams(cfg Config) (*datagrams, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	d := &datagrams{cfg: cfg, echo: newEcho(&cfg), in: make([]byte, mostMessage+1)}
	var err error
	if d.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	d.events = make([]unix.EpollEvent, max(cfg.Conns, 1))
	addr := unix.SockaddrInet4{Port: int(cfg.Addr.Port()), Addr: cfg.Addr.Addr().As4()}
	for i := range cfg.Conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			d.sockets = append(d.sockets, socket{fd: fd, owner: uint64(i) << socketShift})
			err = unix.Connect(fd, &addr)
		}
		if err == nil {
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
			err = unix.EpollCtl(d.epoll, unix.EPOLL_CTL_ADD, fd, &event)
		}
		if err != nil {
			d.Close()
			return nil, fmt.Errorf("open socket for datagrams: %w", err)
		}
	}
	return d, nil
}

// Close closes everything.
func (d *datagrams) Close() {
	for i := range d.sockets {
		_ = unix.Close(d.sockets[i].fd)
	}
	_ = unix.Close(d.epoll)
}

// Run sends datagrams for a phase, and returns when each has come back or is lost.
func (d *datagrams) Run(p Phase) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if p.Rate > 0 || p.Warm > 0 {
		return nil, errors.New("load: found a rate or a warm-up for datagrams, expected neither")
	}
	d.tally = newTally(0)
	d.start, d.clock, d.end = time.Now(), 0, p.Length
	for i := range d.sockets {
		d.next(&d.sockets[i])
	}
	for looked := d.clock; d.waiting > 0; {
		select {
		case <-d.cfg.Stop:
			return nil, ErrStopped
		default:
		}
		n, err := unix.EpollWait(d.epoll, d.events, int(longestWait/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return nil, fmt.Errorf("wait for events: %w", err)
		}
		for i := range max(n, 0) {
			d.receive(&d.sockets[d.events[i].Fd])
		}
		if d.clock = time.Since(d.start); d.clock-looked >= longestWait {
			looked = d.clock
			d.giveUp()
		}
	}
	d.tally.Began, d.tally.Elapsed = d.start, d.clock
	return d.tally.result(nil), nil
}

// next sends a datagram, if it is not over.
func (d *datagrams) next(s *socket) {
	if d.clock = time.Since(d.start); d.clock >= d.end {
		return
	}
	d.serial++
	s.stamp, s.sent, s.away = s.owner|d.serial, d.clock, true
	d.waiting++
	d.tally.Requests++
	d.echo.stamp(s.stamp)
	if _, err := unix.Write(s.fd, d.echo.text); err != nil { // it is given up in time
		d.tally.sample("datagram not sent: %v", err)
	}
}

// receive takes the datagrams that have come to a socket.
func (d *datagrams) receive(s *socket) {
	n, err := unix.Read(s.fd, d.in)
	if err != nil {
		if err != unix.EAGAIN && err != unix.EINTR {
			d.tally.sample("datagram refused: %v", err) // by ICMP
		}
		return
	}
	switch b := d.in[:n]; {
	case d.is(b, s.stamp) && s.away:
		d.clock = time.Since(d.start)
		d.tally.Answered++
		d.tally.Bytes += 2 * d.echo.payload
		d.tally.latency.Record(d.clock - s.sent)
		d.done(s)
	case n >= StampBytes && s.earlier(binary.LittleEndian.Uint64(b)) && d.is(b, binary.LittleEndian.Uint64(b)):
		// Late, or twice: UDP may do both.
	default:
		d.tally.Errors.Body++
		d.tally.sample("not the datagram that was sent: %.80q", b)
	}
}

// is reports whether b is the datagram with that stamp.
func (d *datagrams) is(b []byte, stamp uint64) bool {
	d.echo.stamp(stamp)
	return bytes.Equal(b, d.echo.back)
}

// earlier reports whether a stamp is of a datagram that has been sent by the socket and is not awaited.
func (s *socket) earlier(stamp uint64) bool {
	return stamp>>socketShift == s.owner>>socketShift && (stamp < s.stamp || stamp == s.stamp && !s.away)
}

// done goes on after a datagram.
func (d *datagrams) done(s *socket) {
	s.away = false
	d.waiting--
	d.next(s)
}

// giveUp counts as lost what has not come back for too long.
func (d *datagrams) giveUp() {
	for i := range d.sockets {
		if s := &d.sockets[i]; s.away && d.clock-s.sent > datagramPatience {
			d.tally.Errors.Lost++
			d.tally.sample("a datagram did not come back within %s", datagramPatience)
			d.done(s)
		}
	}
}
