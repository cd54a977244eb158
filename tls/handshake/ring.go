package handshake

import "sync/atomic"

// ringBytes is how much a ring holds. It is a power of two.
const ringBytes = 16 << 10

// ring is a queue of bytes between one writer and one reader, each on a thread of its own.
type ring struct {
	head atomic.Uint32 // bytes ever read; the reader's
	_    [60]byte      // the two ends are written on different cores
	tail atomic.Uint32 // bytes ever written; the writer's
	_    [60]byte
	buf  [ringBytes]byte
}

func (r *ring) len() int { return int(r.tail.Load() - r.head.Load()) }

// space is the room at the end, as far as it is in one piece. Only the writer may ask.
func (r *ring) space() []byte {
	head, tail := r.head.Load(), r.tail.Load()
	at := tail % ringBytes
	return r.buf[at:min(at+ringBytes-(tail-head), ringBytes)]
}

// commit says that n bytes of space were written.
func (r *ring) commit(n int) { r.tail.Add(uint32(n)) }

// put writes as much of b as there is room for.
func (r *ring) put(b []byte) (took int) {
	for took < len(b) {
		n := copy(r.space(), b[took:])
		if n == 0 {
			break
		}
		r.commit(n)
		took += n
	}
	return took
}

// front is what is to be read first, as far as it is in one piece. Only the reader may ask.
func (r *ring) front() []byte {
	head, tail := r.head.Load(), r.tail.Load()
	at := head % ringBytes
	return r.buf[at:min(at+(tail-head), ringBytes)]
}

// drop says that n bytes of front were read.
func (r *ring) drop(n int) { r.head.Add(uint32(n)) }

// get reads as much into p as there is.
func (r *ring) get(p []byte) (n int) {
	for n < len(p) {
		took := copy(p[n:], r.front())
		if took == 0 {
			break
		}
		r.drop(took)
		n += took
	}
	return n
}

func (r *ring) reset() {
	r.head.Store(0)
	r.tail.Store(0)
}

// waker lets one goroutine wait for what others do, who never wait for it.
type waker struct {
	asleep atomic.Bool
	token  chan struct{} // of capacity 1
	c      *Conversation // not nil: who waits is the coroutine of its handshake, and there is no token
}

func newWaker() waker { return waker{token: make(chan struct{}, 1)} }

// wait returns when ready does.
func (w *waker) wait(ready func() bool) {
	for !ready() {
		w.asleep.Store(true)
		switch {
		case ready():
		case w.c != nil:
			w.c.worker.pause(struct{}{})
		default:
			<-w.token
		}
		w.asleep.Store(false)
	}
}

// wake is called after something that ready looks at has changed.
func (w *waker) wake() {
	if !w.asleep.Load() {
		return
	}
	if w.c != nil {
		w.c.port.thread.call(w.c, 0)
		return
	}
	select {
	case w.token <- struct{}{}:
	default:
	}
}
