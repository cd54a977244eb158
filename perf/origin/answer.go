package origin

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
)

const (
	// bodyBytes is how much of the pattern is kept: larger bodies are sent in pieces of at most that size.
	bodyBytes = 1<<20 + load.PatternPeriod
	// gathered is the largest body that is copied behind its head, to go out with other answers.
	gathered = 8 << 10
)

var (
	notFound   = []byte("HTTP/1.1 404 Not Found\r\nServer: origin\r\nContent-Length: 0\r\n\r\n")
	badRequest = []byte("HTTP/1.1 400 Bad Request\r\nServer: origin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
)

// respond answers a request, unless its body has to come first.
func (o *Origin) respond(c *conn, r *request) {
	segment := lastSegment(r.target)
	size, sized := bodySize(segment)
	switch {
	case c.inBody:
	case string(r.method) == "POST" || string(r.method) == "PUT":
		o.uploaded(c)
	case string(segment) == load.StreamPath[1:]:
		o.beginStream(c)
	case string(segment) == load.AnswerPath[1:]:
		o.answer(c, c.answer)
	case string(segment) == load.UpgradePath[1:]:
		o.upgrade(c, r)
	case string(segment) == load.FieldsPath[1:]:
		o.answer(c, r.fields)
	case string(segment) == load.AcceptedPath[1:]:
		if !c.asker {
			c.asker = true
			o.accepted--
		}
		o.answer(c, strconv.AppendInt(nil, o.accepted, 10))
	case sized:
		o.sendPattern(c, size)
	default:
		o.out = append(o.out, notFound...)
		c.finishing = c.closing
	}
}

// answer answers with a short body.
func (o *Origin) answer(c *conn, body []byte) {
	o.out = append(o.appendHead(o.out, c, int64(len(body))), body...)
	c.finishing = c.closing
}

// uploaded answers a request whose body has come whole.
func (o *Origin) uploaded(c *conn) {
	o.out = load.AppendUploaded(o.appendHead(o.out, c, load.BodyBytes), c.received)
	c.finishing = c.closing
}

// refuse ends a connection whose input cannot be understood.
func (o *Origin) refuse(c *conn) {
	o.out = append(o.out, badRequest...)
	c.finishing = true
}

// sendPattern answers with the first size bytes of the pattern.
func (o *Origin) sendPattern(c *conn, size int64) {
	if size <= gathered {
		o.out = append(o.appendHead(o.out, c, size), o.body[:size]...)
		c.finishing = c.closing
		return
	}
	if len(o.out) > 0 {
		if o.send(c); c.fd < 0 {
			return
		}
	}
	c.pending = o.appendHead(c.pending, c, size)
	c.size, c.sent, c.finishing = size, 0, c.closing
	o.send(c)
}

// appendHead appends the head of an answer of size bytes.
func (o *Origin) appendHead(b []byte, c *conn, size int64) []byte {
	if second := o.now.Unix(); second != o.second {
		o.second = second
		o.head = append(o.head[:0], "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: "...)
		o.head = o.now.UTC().AppendFormat(o.head, "Mon, 02 Jan 2006 15:04:05 GMT")
		o.head = append(o.head, "\r\nContent-Type: text/plain\r\nContent-Length: "...)
	}
	b = strconv.AppendInt(append(b, o.head...), size, 10)
	if c.closing {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...)
}

// send sends as much of the output as the socket takes, and ends the connection after the last of it where it has to.
func (o *Origin) send(c *conn) {
	text := o.out
	if len(c.pending) > 0 {
		text = c.pending // and nothing is in out: nothing was answered meanwhile
	}
	if len(text) > 0 {
		text = text[o.write(c, text, c.size > 0):]
	}
	c.pending, o.out = append(c.pending[:0], text...), o.out[:0]
	for c.fd >= 0 && len(c.pending) == 0 && c.sent < c.size {
		n := o.writeBody(c)
		if c.sent += int64(n); n == 0 {
			break
		}
	}
	switch {
	case c.fd < 0:
	case c.blocked():
		o.awaitRoom(c)
	case c.finishing:
		o.close(c)
	default:
		c.size, c.sent = 0, 0
	}
}

// write gives bytes to the socket, after which there may be more. It returns how many were taken; when it failed, the
// connection is closed.
func (o *Origin) write(c *conn, b []byte, more bool) (n int) {
	var err error
	if more {
		n, err = unix.SendmsgN(c.fd, b, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
	} else {
		n, err = unix.Write(c.fd, b)
	}
	return o.taken(c, n, err)
}

// writeBody gives a piece of the pattern to the socket, from a file, whose pages it takes without a copy.
func (o *Origin) writeBody(c *conn) int {
	o.offset = c.sent % load.PatternPeriod
	n, err := unix.Sendfile(c.fd, o.file, &o.offset, int(min(c.size-c.sent, bodyBytes-o.offset)))
	return o.taken(c, n, err)
}

func (o *Origin) taken(c *conn, n int, err error) int {
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		o.close(c)
	}
	return max(n, 0)
}

// awaitRoom has handle called when the socket takes output again.
func (o *Origin) awaitRoom(c *conn) {
	if c.watchesOutput {
		return
	}
	c.watchesOutput = true
	if err := o.watch(c.fd, unix.EPOLL_CTL_MOD, watchOutput, c.generation); err != nil {
		o.close(c)
	}
}
