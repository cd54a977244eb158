package origin

import (
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
)

// pieceEvery is the time from one piece of a stream to the next.
const pieceEvery = 100 * time.Millisecond

var streamHead = []byte("HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n" +
	"Transfer-Encoding: chunked\r\n\r\n")

// stream is where a connection is in an answer without end.
type stream struct {
	piece  int       // number of the next one
	due    time.Time // when it is sent
	queued bool      // the connection is in the queue of streams, even if it is not the one that was put there
	next   *conn     // in the queue
}

// queue has the connections with streams in the order in which pieces are due.
type queue struct{ first, last *conn }

func (q *queue) put(c *conn) {
	c.stream.queued, c.stream.next = true, nil
	if q.first == nil {
		q.first = c
	} else {
		q.last.stream.next = c
	}
	q.last = c
}

func (q *queue) take() *conn {
	c := q.first
	q.first = c.stream.next
	c.stream.queued, c.stream.next = false, nil
	return c
}

// beginStream answers with a stream, whose first piece goes out at once.
func (o *Origin) beginStream(c *conn) {
	o.out = append(o.out, streamHead...)
	c.streaming = true
	c.stream.piece, c.stream.due = 0, o.now
	o.appendPiece(c)
	if !c.stream.queued {
		o.streams.put(c)
	}
}

func (o *Origin) appendPiece(c *conn) {
	o.out = append(o.out, "20\r\n"...)
	o.out = append(load.AppendPiece(o.out, c.stream.piece), "\r\n"...)
	c.stream.piece++
	c.stream.due = c.stream.due.Add(pieceEvery)
}

// continueStreams sends the pieces that are due. A stream whose client is behind goes on when that has caught up.
func (o *Origin) continueStreams() {
	for first := o.streams.first; first != nil && !first.stream.due.After(o.now); first = o.streams.first {
		c := o.streams.take()
		if !c.streaming {
			continue
		}
		if c.blocked() {
			c.stream.due = o.now.Add(pieceEvery)
		} else {
			o.appendPiece(c)
			o.send(c)
		}
		if c.fd >= 0 {
			o.streams.put(c)
		}
	}
}

// patience is how long events can be waited for, in milliseconds; -1: for ever.
func (o *Origin) patience() int {
	if o.streams.first == nil {
		return -1
	}
	return int(max(time.Until(o.streams.first.stream.due)+time.Millisecond-1, 0) / time.Millisecond)
}
