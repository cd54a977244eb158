package handshake

import "time"

// places are those that handshakes with one kind of peers have at a port, and the line of those who wait for one.
type places struct {
	most    int // at the same time
	line    line
	running queue // handshakes on their way, the oldest first, without
	leaving int   // those that have been cancelled to make room
}

// places are those that c is for.
func (c *Conversation) places() *places {
	if c.client != nil {
		return &c.port.servers
	}
	return &c.port.clients
}

// free reports whether another handshake may begin.
func (at *places) free() bool { return at.running.len+at.leaving < at.most }

// patience is how long a peer may take while nobody needs its place.
const patience = 2 * time.Second

// relieve makes room for those in the line, as far as there are handshakes whose peers let them wait for long. Without
// it, those who begin handshakes and do not end them would have all places until the shard's timeout, and so would
// those who wait for a server that does not answer.
func (at *places) relieve() {
	if at.line.len <= at.leaving {
		return
	}
	for now := time.Now(); at.line.len > at.leaving; {
		c := at.running.first
		if c == nil || now.Sub(c.began) < patience || !c.stuck() {
			return
		}
		at.running.remove(c)
		at.leaving++
		c.overdue = true
		c.cancel()
	}
}

// leave takes c, whose handshake is over, out of those on their way. Who was cancelled and succeeded nevertheless goes
// on, unless it is relayed: then its goroutines have been told to end.
func (at *places) leave(c *Conversation) {
	if !c.overdue {
		at.running.remove(c)
		return
	}
	at.leaving--
	if o := &c.outcome; o.Reason == Cancelled || o.Relayed {
		*o = Outcome{Err: errOverdue, Reason: Shed, Policy: o.Policy, Lookup: o.Lookup}
	}
}
