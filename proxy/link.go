package proxy

import (
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

// kind says which side of the proxy a link is on.
type kind uint8

const (
	kindNone kind = iota
	kindClient
	kindUpstream
	kindListener    // a listener's socket for datagrams
	kindAssociation // an association's, connected to an endpoint
)

// state is where a link is in its life. The transitions are:
//
//	client:   idle -> head -> busy -> idle …      upstream: connecting -> busy -> pooled -> busy …
//	          busy -> linger -> closing                      any -> closing
//	          any -> closing
//
// A client whose listener awaits something before all that comes by header, or detect, or both. Over TLS it comes to
// idle by hello -> handshake, an upstream to busy by connecting -> handshake, and both may pass through farewell before
// they are closing. A client whose connection is passed on goes from idle, detect, hello or handshake to tunnel, and
// the connection to its endpoint from connecting or handshake.
type state uint8

const (
	stateIdle       state = iota // client: between requests, nothing received yet
	stateHead                    // client: part of a request head has come
	stateBusy                    // both: an exchange is running on it
	stateLinger                  // client: the last response is out, input is thrown away until the client closes
	stateConnecting              // upstream: not connected yet
	statePooled                  // upstream: waiting for the next exchange
	stateHello                   // client over TLS: its ClientHello is not complete yet
	stateHandshake               // both, over TLS: the handshake is running
	stateHeader                  // client: the header of the PROXY protocol has not come yet, or not all of it
	stateDetect                  // client: what its first bytes are decides how it goes on
	stateTunnel                  // both: what comes passes to the other end, see tunnel
	stateDatagrams               // neither: it is a UDP socket
	stateFarewell                // both, over TLS: the last word is being sent, the rest is as with closing
	stateClosing                 // both: Close was called, EvClosed is to come
)

// linkFlags are facts about a link.
type linkFlags uint16

const (
	flagTrusted   linkFlags = 1 << iota // client: its forwarding headers are believed
	flagReused                          // upstream: has served an exchange before
	flagStarved                         // both: waits in the list of those that found no buffer
	flagEOF                             // both: the peer has ended its stream
	flagCounted                         // client: counted in the table of connections per address
	flagSpoiled                         // upstream: not to be used again
	flagStreamed                        // both: the armed receive is a stream
	flagReceiving                       // both: a receive was armed and its last EvRecv has not been handled yet
	flagSending                         // both: a send was started and its EvSent has not been handled yet
	flagSecure                          // both: the connection is one over TLS, see secure
	flagShut                            // both, in a tunnel or relayed: its end of stream is being sent, or has been
	flagFinished                        // both, in a tunnel: it has been
	flagHeld                            // both, over TLS: what was received waits to be opened, and no more is received
	flagPiped                           // both: the last receive that was armed was one into a pipe
)

// link is the proxy's half of a connection, a client's or an upstream's; the backend's half is engine.Conn, in the same
// slot. Free of pointers. An idle connection is a link and holds no buffer.
type link struct {
	kind   kind
	state  state
	flags  linkFlags
	ip6    bool   // client: addr is IPv6
	named  bool   // client: a header of the PROXY protocol has named its address, and where it has connected to
	volume volume // of what was received of late
	calm   uint8  // pieces since then that were smaller
	port   uint16 // client: remote port
	from   uint16 // client, listener: index of the listener

	series metrics.Series // that counts the connection: of its listener, of the service that opened it

	ex     uint32 // the exchange running on it; 0: none
	tunnel uint32 // the tunnel that it is an end of; 0: none
	id     uint32 // upstream: ID of its endpoint. client: requests begun. Of an association: its index
	taken  uint32 // upstream: the turn in which it was last taken from the pool

	in  queue // received and not yet consumed
	out queue // to be sent, what is in flight included

	next, prev uint32 // slot + 1: neighbours in the pool or in the starved list, never in both

	rx, tx           uint64 // bytes received and sent
	rxSince, txSince int64  // since when we have been waiting for the peer to send, to read
	rxMark, txMark   uint64 // rx, tx at that time

	began  int64    // client: when its connection was accepted
	addr   [16]byte // client: remote address
	to     [16]byte // client, when named: the address that it has connected to
	toPort uint16   // and the port
}

// consumed is how many bytes of what was received on a plain connection have been used, or given up.
func (l *link) consumed() uint64 { return l.rx - uint64(l.in.bytes) }

// sends reports whether what is queued for l may be sent.
func (l *link) sends() bool { return l.state == stateBusy || l.state == stateTunnel }

// untold reports whether l is a client's of which the figures would not tell why it ended: nothing has begun that is
// recorded when it ends.
func (l *link) untold() bool {
	return l.state == stateIdle || l.state == stateHello || l.state == stateHandshake || l.awaitsFirst()
}

// closing reports whether nothing more becomes of l than its end.
func (l *link) closing() bool { return l.state >= stateFarewell }

func (l *link) has(f linkFlags) bool { return l.flags&f != 0 }
func (l *link) set(f linkFlags)      { l.flags |= f }
func (l *link) clear(f linkFlags)    { l.flags &^= f }

// chunk is a range of bytes in a queue, holding one reference to its buffer.
type chunk struct {
	span mem.Span
	buf  mem.Buf
	next uint32
}

// queue is a list of chunks: bytes that were received and are to be used in order.
type queue struct {
	head, tail uint32 // chunks; 0: none
	bytes      uint32
	pieces     uint32 // chunks: a small one, too, keeps a buffer
}

func (q *queue) empty() bool { return q.head == 0 }

// push appends span, taking over the caller's reference to buf. It reports false when there are no chunks left; the
// reference is dropped then.
func (w *Worker) push(q *queue, span mem.Span, buf mem.Buf) bool {
	if q.tail != 0 {
		if t := w.chunks.At(q.tail); t.buf == buf && t.span.End() == span.Off {
			t.span.Len += span.Len
			q.bytes += span.Len
			w.mem.Drop(buf)
			return true
		}
	}
	i := w.chunks.Take()
	if i == 0 {
		w.mem.Drop(buf)
		return false
	}
	*w.chunks.At(i) = chunk{span: span, buf: buf}
	if q.tail != 0 {
		w.chunks.At(q.tail).next = i
	} else {
		q.head = i
	}
	q.tail = i
	q.bytes += span.Len
	q.pieces++
	return true
}

// unshift puts span back in front, taking over a reference to buf.
func (w *Worker) unshift(q *queue, span mem.Span, buf mem.Buf) bool {
	i := w.chunks.Take()
	if i == 0 {
		w.mem.Drop(buf)
		return false
	}
	*w.chunks.At(i) = chunk{span: span, buf: buf, next: q.head}
	q.head = i
	if q.tail == 0 {
		q.tail = i
	}
	q.bytes += span.Len
	q.pieces++
	return true
}

// shift takes the first chunk out and hands its reference to the caller. q must not be empty.
func (w *Worker) shift(q *queue) (mem.Span, mem.Buf) {
	i := q.head
	c := w.chunks.At(i)
	span, buf := c.span, c.buf
	q.head = c.next
	if q.head == 0 {
		q.tail = 0
	}
	q.bytes -= span.Len
	q.pieces--
	w.chunks.Put(i)
	return span, buf
}

// consume removes the first n bytes, giving back the buffers that are used up.
func (w *Worker) consume(q *queue, n uint32) {
	q.bytes -= n
	for n > 0 {
		c := w.chunks.At(q.head)
		if c.span.Len > n {
			c.span.Off += n
			c.span.Len -= n
			return
		}
		n -= c.span.Len
		w.mem.Drop(c.buf)
		i := q.head
		q.head = c.next
		q.pieces--
		w.chunks.Put(i)
	}
	if q.head == 0 {
		q.tail = 0
	}
}

// discard empties q.
func (w *Worker) discard(q *queue) {
	for q.head != 0 {
		_, buf := w.shift(q)
		w.mem.Drop(buf)
	}
}

// transfer moves the first n bytes of from to the end of to. It reports false when there are no chunks left.
func (w *Worker) transfer(to, from *queue, n uint32) bool {
	for n > 0 {
		span, buf := w.shift(from)
		if span.Len > n {
			w.mem.Hold(buf)
			if !w.unshift(from, mem.Span{Off: span.Off + n, Len: span.Len - n}, buf) {
				w.mem.Drop(buf)
				return false
			}
			span.Len = n
		}
		n -= span.Len
		if !w.push(to, span, buf) {
			return false
		}
	}
	return true
}

// list is a doubly linked list of links through next and prev.
type list struct {
	first, last uint32 // slot + 1
	len         int
}

func (w *Worker) listPush(ls *list, slot uint32) {
	l := &w.links[slot]
	l.prev, l.next = 0, ls.first
	if ls.first != 0 {
		w.links[ls.first-1].prev = slot + 1
	} else {
		ls.last = slot + 1
	}
	ls.first = slot + 1
	ls.len++
}

func (w *Worker) listRemove(ls *list, slot uint32) {
	l := &w.links[slot]
	if l.prev != 0 {
		w.links[l.prev-1].next = l.next
	} else {
		ls.first = l.next
	}
	if l.next != 0 {
		w.links[l.next-1].prev = l.prev
	} else {
		ls.last = l.prev
	}
	l.next, l.prev = 0, 0
	ls.len--
}
