package handshake

import (
	"io"
	"sync/atomic"
	"time"
)

// What a conversation's goroutines tell its port.
const (
	queued   = 1 << iota // it is in the list of news
	settled              // the outcome is there
	finished             // no goroutine touches it any more
)

// stage is how far a conversation has come, as its port sees it.
type stage uint8

const (
	waiting stage = iota // in the line
	running              // it has a place
	over                 // the outcome is there
)

// Conversation is one handshake. Its methods belong to its port's shard, and never wait.
type Conversation struct {
	id     uint64
	port   *Port
	server *Server // either
	client *Client // or

	hello []byte               // what it begins with; the goroutine's once it has started
	in    atomic.Pointer[ring] // ciphertext to the goroutine, made when there is some beyond hello
	out   *ring                // ciphertext to the peer
	relay *relay               // the record layer, when that is not handed over

	reader waker // who waits for ciphertext, or for room to put plaintext
	room   waker // who waits for room for ciphertext

	cancelled atomic.Bool
	eof       atomic.Bool
	hungry    atomic.Bool // Feed was refused, and room is news

	news atomic.Uint32 // queued, settled, finished
	next *Conversation // in the list of news, or of those to be used again

	calls  atomic.Uint32 // called, begun
	follow *Conversation // in the thread's list of calls
	worker *worker       // the thread's own: who does the handshake; nil: it does not run, or has a goroutine

	// The shard's own.
	stage   stage
	ended   bool // End was called
	left    bool // no goroutine touches it any more
	overdue bool // it was cancelled to make room
	began   time.Time
	bucket  *bucket       // of the line, while it waits there
	before  *Conversation // in the queue of those, or of those that are on their way
	behind  *Conversation
	outcome Outcome // the goroutine's until it is settled
}

// ID is what Serve or Dial was given.
func (c *Conversation) ID() uint64 { return c.id }

// Feed takes ciphertext that was received, and copies it. When its room is used up it takes less than all: the rest is
// to be offered again after the conversation's next news. It takes nothing once the outcome is there, unless it is
// relayed: what comes then is for the record layer. Nor does it before the handshake has begun, so that who waits in
// the line holds nothing but its hello.
func (c *Conversation) Feed(b []byte) (took int) {
	switch {
	case c.stage == over && c.relay == nil, len(b) == 0:
		return 0
	case c.stage == waiting:
		c.hungry.Store(true)
		return 0
	}
	r := c.in.Load()
	if r == nil {
		r = c.port.ring()
		c.in.Store(r)
	}
	took = r.put(b)
	if took < len(b) {
		c.hungry.Store(true)
		took += r.put(b[took:]) // room that was made before hungry was seen is no news
	}
	c.reader.wake()
	return took
}

// EOF says that the peer's stream has ended behind what was fed. No handshake is begun with a peer that has gone.
func (c *Conversation) EOF() {
	if c.bucket != nil {
		c.giveUp(Gone, io.EOF)
		return
	}
	c.eof.Store(true)
	c.reader.wake()
}

// Output is ciphertext to be sent, the first piece of it; empty: there is none. It is valid until Sent, and so is what
// is left of it when the conversation has ended otherwise, until End.
func (c *Conversation) Output() []byte {
	if c.out == nil {
		return nil
	}
	return c.out.front()
}

// Sent says that n bytes of Output were copied. There may be another piece.
func (c *Conversation) Sent(n int) {
	c.out.drop(n)
	c.room.wake()
}

// Outcome is what came of the handshake; nil while it goes on. All that it put out is in Output by then. It is valid
// until End, which overwrites its Keys, unless record.Layer.Start has taken them.
func (c *Conversation) Outcome() *Outcome {
	if c.stage != over {
		return nil
	}
	return &c.outcome
}

// End lets the conversation go, in any state: a handshake that goes on is cancelled. It must not be touched afterwards,
// nor what Output and Outcome.Left pointed to.
func (c *Conversation) End() {
	c.ended = true
	switch {
	case c.bucket != nil:
		c.places().line.remove(c)
		c.port.recycle(c)
	case c.left:
		c.port.recycle(c)
	default:
		c.cancel()
	}
}

// stuck reports whether its goroutine waits for the peer.
func (c *Conversation) stuck() bool { return c.reader.asleep.Load() || c.room.asleep.Load() }

// cancel makes its goroutines fail where they wait next. Any thread may call it.
func (c *Conversation) cancel() {
	c.cancelled.Store(true)
	c.reader.wake()
	c.room.wake()
	if r := c.relay; r != nil {
		r.writer.wake()
	}
}

// post tells the port that something of the conversation has changed. The one who says that it is finished must not
// touch the conversation afterwards.
func (c *Conversation) post(what uint32) {
	port := c.port
	if c.news.Or(queued|what)&queued != 0 {
		return // whoever takes it out of the list sees this too
	}
	for {
		head := port.news.Load()
		c.next = head
		if port.news.CompareAndSwap(head, c) {
			if head == nil {
				port.wake()
			}
			return
		}
	}
}
