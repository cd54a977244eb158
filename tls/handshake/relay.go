package handshake

import (
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"
)

// relay is a conversation that goes on as the record layer: crypto/tls seals and opens, on two goroutines, and the
// shard sees plaintext. It is slower and larger than the hand-over, and serves where that cannot be.
type relay struct {
	plain   ring // from the peer, opened
	sending ring // to the peer, not sealed yet
	writer  waker

	closing atomic.Bool // CloseWrite was called
	silent  atomic.Bool // nothing more is sealed: close_notify was, or that has failed
	stalled atomic.Bool // Write was refused, and room is news
	end     atomic.Pointer[relayEnd]
}

// relayEnd is how the peer's direction ended.
type relayEnd struct {
	closed bool
	err    error
}

var errTruncated = errors.New("the peer's stream ended without close_notify")

func newRelay() *relay { return &relay{writer: newWaker()} }

// run reads and writes until both directions are over, or the conversation has been ended.
func (r *relay) run(c *Conversation, g *gate, conn *tls.Conn) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		r.write(c, conn)
	}()
	r.read(c, g, conn)
	<-written
}

// survive makes a panic the end of one connection. It is to be deferred.
func (r *relay) survive(c *Conversation) {
	if fault := recover(); fault != nil {
		r.end.Store(&relayEnd{err: panicked(fault)})
		c.cancel()
		c.post(0)
	}
}

func (r *relay) read(c *Conversation, g *gate, conn *tls.Conn) {
	defer r.survive(c)
	for {
		c.reader.wait(func() bool { return len(r.plain.space()) > 0 || c.cancelled.Load() })
		if c.cancelled.Load() {
			return
		}
		n, err := conn.Read(r.plain.space())
		r.plain.commit(n)
		if err != nil {
			end := &relayEnd{closed: errors.Is(err, io.EOF) && !g.cut}
			switch {
			case end.closed:
			case g.cut:
				end.err = errTruncated
			default:
				end.err = heardIn(err)
			}
			r.end.Store(end)
		}
		c.post(0)
		if err != nil {
			return
		}
	}
}

func (r *relay) write(c *Conversation, conn *tls.Conn) {
	defer func() {
		r.silent.Store(true)
		c.post(0)
	}()
	defer r.survive(c)
	for {
		r.writer.wait(func() bool { return r.sending.len() > 0 || r.closing.Load() || c.cancelled.Load() })
		if c.cancelled.Load() {
			return
		}
		closing := r.closing.Load() // before the look at what comes before it
		p := r.sending.front()
		if len(p) == 0 && closing {
			conn.CloseWrite() // what fails here is seen where the peer is read
			return
		}
		n, err := conn.Write(p)
		r.sending.drop(n)
		if err != nil {
			return
		}
		if r.stalled.Load() && r.stalled.Swap(false) || r.sending.len() == 0 {
			c.post(0)
		}
	}
}

// Plain is plaintext that was received, the first piece of it; empty: there is none. It is valid until Took.
func (c *Conversation) Plain() []byte { return c.relay.plain.front() }

// Took says that n bytes of Plain were used. There may be another piece. Not taking is back-pressure: Feed takes less.
func (c *Conversation) Took(n int) {
	c.relay.plain.drop(n)
	c.reader.wake()
}

// Write takes plaintext to be sent, and copies it. When its room is used up it takes less than all: the rest is to be
// offered again after the conversation's next news.
func (c *Conversation) Write(p []byte) (took int) {
	r := c.relay
	took = r.sending.put(p)
	if took < len(p) {
		r.stalled.Store(true)
		took += r.sending.put(p[took:]) // room that was made before stalled was seen is no news
	}
	r.writer.wake()
	return took
}

// CloseWrite has close_notify follow what was written. Nothing may be written behind it.
func (c *Conversation) CloseWrite() {
	c.relay.closing.Store(true)
	c.relay.writer.wake()
}

// Holds reports whether there is something for Output, or will be: of what was written, or close_notify. That there is
// nothing any more is news.
func (c *Conversation) Holds() bool {
	r := c.relay
	if !r.silent.Load() && (r.sending.len() > 0 || r.closing.Load()) {
		return true // asked first: what is sealed comes to Output before it leaves here
	}
	return len(c.Output()) > 0
}

// Ended says how the peer's direction has ended, once all of Plain was taken: closed by its close_notify, or broken off
// by an error: truncation, an alert (Heard), a record that is none. Neither: it goes on.
func (c *Conversation) Ended() (closed bool, err error) {
	end := c.relay.end.Load()
	if end == nil || c.relay.plain.len() > 0 {
		return false, nil
	}
	return end.closed, end.err
}
