package proxy

import (
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// framing is how the end of a body is found.
type framing uint8

const (
	framingNone    framing = iota // there is no body
	framingLength                 // Content-Length
	framingChunked                // Transfer-Encoding: chunked
	framingClose                  // everything until the connection ends (responses only)
)

// flow is one direction of an exchange's body: how it is framed, and how far it has come.
type flow struct {
	framing framing
	done    bool  // the body's last byte has been queued for sending, or there is none
	left    int64 // framingLength: bytes to come
	total   int64 // bytes received, framing included
	chunked h1.Chunked
}

// begin sets the framing of a body that is about to be received.
func (f *flow) begin(fr framing, length int64) {
	f.framing, f.left, f.total = fr, length, 0
	f.done = fr == framingNone || fr == framingLength && length == 0
	f.chunked.Reset()
}

// follow takes the next bytes received and returns how many of them belong to the body.
func (f *flow) follow(b []byte) (int, h1.Code) {
	n := len(b)
	switch f.framing {
	case framingNone:
		return 0, h1.OK
	case framingLength:
		return f.advance(n), h1.OK
	case framingChunked:
		var code h1.Code
		n, code = f.chunked.Feed(b)
		if code != h1.OK && code != h1.NeedMore {
			return n, code
		}
		f.done = code == h1.OK
	}
	f.total += int64(n)
	return n, h1.OK
}

// advance is follow for a body whose length is known: its bytes need not be looked at.
func (f *flow) advance(n int) int {
	n = int(min(int64(n), f.left))
	f.left -= int64(n)
	f.done = f.left == 0
	f.total += int64(n)
	return n
}

// follow takes the first chunk of q, which is not empty, as the next bytes of f. It returns how many belong to it.
func (w *Worker) follow(f *flow, q *queue) (int, h1.Code) {
	c := w.chunks.At(q.head)
	if c.buf.Class() == mem.Pipe { // into which nothing else is received
		return f.advance(int(c.span.Len)), h1.OK
	}
	return f.follow(w.mem.Bytes(c.span))
}

// held is a message head in the buffer in which it was received, or gathered when it came in pieces. It holds one
// reference.
type held struct {
	span mem.Span
	buf  mem.Buf
}

// exFlags are facts about an exchange.
type exFlags uint16

const (
	exKeep       exFlags = 1 << iota // the client's connection is to be kept when it is over
	exAnswered                       // the final response's head has been queued for the client
	exReplayable                     // the whole request lies in one span and nothing forbids sending it again
	exRetried                        // it has been sent again
	exReused                         // the upstream connection came from the pool
	exOwnReply                       // the response is ours, not an upstream's
	exDechunk                        // the client is told by closing where the body ends: chunk framing is taken off
	exEnchunk                        // the body ends with the upstream's connection: chunk framing is put on
	exFramed                         // exEnchunk: a chunk has been written before
	exWaiting                        // waits for a connection of a full endpoint
	exBroken                         // the request's input cannot be followed further; close after the response
	exOffer                          // the upstream is offered other protocols than HTTP
)

// exchange is one request and its response, from the request's first byte to the response's last. Free of pointers.
type exchange struct {
	client   uint32 // slot + 1
	upstream uint32 // slot + 1; 0: none (yet, or any more)
	pin      uint32 // the snapshot it runs on
	flags    exFlags
	reason   metrics.Reason
	tries    uint8
	status   uint16 // of the final response; 0: none

	route   int32 // index in the snapshot; -1: none
	service int32
	target  uint16 // index in the service's endpoints
	next    uint32 // exWaiting: the next in the endpoint's line

	up, down flow

	head    held     // the request's head as it is forwarded: kept for replay and for the log
	replay  mem.Span // exReplayable: head and body
	resHead held     // the response's head while it is incomplete
	offered h1.Ref   // exOffer: the protocols, in what was added to the head
	asked   held     // path and query as received, for the log, where others are forwarded
	frames  mem.Buf  // exEnchunk: where chunk headers are written
	framed  uint32   // how many

	started    int64 // first byte of the request
	understood int64 // its head was complete; 0: not yet
	forwarded  int64 // handed to an upstream connection for the last time
	sent       int64 // request completely sent; 0: not yet
	firstByte  int64 // first byte of the response; 0: not yet
	received   int64 // last byte of the response, or the end of our hopes for it; 0: not yet

	own   int64 // metrics.OwnTime so far; negative: it is not in the sample
	since int64 // since when an event is handled that counts for own; 0: none is

	records int64 // of it, how long records of TLS have taken

	rxBefore, txBefore uint64 // what the client's link had consumed and sent when it began

	code  h1.Code       // what was wrong with a message that we refused
	fault urlpath.Fault // what was wrong with a path that we refused
	mishap

	pending  queue // the request while it has no connection
	interims uint8 // 1xx responses passed on

	requestID    [requestIDMax]byte
	requestIDLen uint8

	req h1.Parser
	res h1.Parser
}

func (x *exchange) has(f exFlags) bool { return x.flags&f != 0 }
func (x *exchange) set(f exFlags)      { x.flags |= f }
func (x *exchange) clear(f exFlags)    { x.flags &^= f }
