package epoll

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// Poll implements engine.Backend.
//
// With work on the run list it does not wait; and it asks the kernel for new edges only every second
// time then, so that a turn which merely reports finished sends costs no system call.
func (b *Backend) Poll(timeout int64, out []engine.Event) (int, error) {
	b.count.Polls++
	b.ready, b.peers = b.ready[:0], 0
	if b.fed() {
		b.feed()
	}
	if b.run.empty() || !b.waited {
		if err := b.gather(timeout); err != nil {
			return 0, err
		}
	} else {
		b.waited = false
	}
	n := b.acceptReady(out)
	n += b.work(out[n:])
	b.count.Events += uint64(n)
	b.publish()
	return n, nil
}

// gather waits for edges and notes them in the connections.
func (b *Backend) gather(timeout int64) error {
	if !b.run.empty() {
		timeout = 0
	}
	timeout = b.wake.beforeWait(timeout)
	n, e := b.wait(timeout)
	b.wake.afterWait()
	if e != 0 {
		return fmt.Errorf("wait for epoll events: %w", e)
	}
	b.waited = true
	for i := range b.cells.events[:n] {
		b.note(&b.cells.events[i])
	}
	return nil
}

// note enters one edge into what it is about.
func (b *Backend) note(ev *unix.EpollEvent) {
	token := engine.Token(uint32(ev.Fd)) | engine.Token(uint32(ev.Pad))<<32
	switch token.Kind() {
	case kindConn:
		b.edge(b.env.Conns.At(token.Slot()), token.Gen(), ev.Events)
	case kindListener:
		b.ready = append(b.ready, uint16(token.Slot()))
	}
}

// edge sets ready bits. A socket that was closed while a forked child still held it can have edges; the generation
// tells.
func (b *Backend) edge(c *engine.Conn, gen, events uint32) {
	if c.Gen != gen || c.State&engine.StateClosing != 0 {
		b.count.Stale++
		return
	}
	if c.State&engine.StateDatagrams != 0 {
		if socket(c).Edge(events); socket(c).Due() {
			b.push(c)
		}
		return
	}
	const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if events&(unix.EPOLLIN|ended) != 0 {
		c.Priv[privBits] |= bitIn
	}
	if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.Priv[privBits] |= bitOut
	}
	if events&(ended|unix.EPOLLPRI) != 0 {
		c.Priv[privBits] |= bitHup
	}
	if runnable(c) {
		b.push(c)
	}
}

// work gives every connection that stands on the run list now one go, as far as out has room.
func (b *Backend) work(out []engine.Event) int {
	n, last := 0, b.run.tail
	for n < len(out) && !b.run.empty() {
		c := b.pop()
		if c.State&engine.StateClosing != 0 {
			out[n] = engine.Event{Kind: engine.EvClosed, Slot: c.Slot, Gen: c.Gen}
			n++
		} else {
			n += b.step(c, out[n:])
			if runnable(c) {
				b.push(c)
			}
		}
		if c.Slot+1 == last {
			break
		}
	}
	return n
}

// step reports what c has finished and does what it is ready for; out has room for one event at least.
func (b *Backend) step(c *engine.Conn, out []engine.Event) int {
	if c.State&engine.StateDatagrams != 0 {
		return b.readable(c, &out[0])
	}
	n := 0
	if c.State&engine.StateConnect != 0 && b.connected(c, &out[0]) {
		n++
	}
	if c.State&engine.StateSend != 0 && n < len(out) && b.sent(c, &out[n]) {
		n++
	}
	if c.State&engine.StateRecv != 0 && n < len(out) {
		n += b.receive(c, out[n:])
	}
	return n
}
