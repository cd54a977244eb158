package proxy

import (
	"bytes"
	"fmt"
	"io"

	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// simOffer is how an order would leave HTTP.
type simOffer uint8

const (
	simNoOffer simOffer = iota
	simWebSocket
	simConnect
)

// newSimOffer draws a request that offers to leave HTTP, with the beginning of the stream behind it perhaps.
func newSimOffer(d *simDice, number int) *simOrder {
	o := &simOrder{number: number, method: "GET", minor: 1, offer: simWebSocket}
	var b bytes.Buffer
	if d.percent(30) {
		o.offer, o.method = simConnect, "CONNECT"
		b.WriteString("CONNECT sim.example:443 HTTP/1.1\r\nHost: sim.example:443\r\n")
	} else {
		fmt.Fprintf(&b, "GET /order?number=%d HTTP/1.1\r\nHost: sim.example\r\n%s%s", number, wsOffer, wsFields)
	}
	fmt.Fprintf(&b, "X-Number: %d\r\nX-Size: 0\r\n\r\n", number)
	o.head = b.Bytes()
	o.stream = o.requestBody(d.size())
	if d.percent(30) {
		o.body = o.stream[:d.n(len(o.stream)+1)]
	}
	return o
}

// granted is the answer by which an upstream takes the offer up.
func (o *simOrder) granted(d *simDice) []byte {
	switch {
	case o.offer == simWebSocket:
		return []byte(wsSwitch)
	case d.percent(50):
		return []byte("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
	}
	return []byte("HTTP/1.1 204 Fine\r\n\r\n")
}

// simSwitched is an end of a connection that has left HTTP: it says all that is in its output, ends its stream, and
// reads to the end of the other's.
type simSwitched struct {
	order *simOrder
	want  []byte // of what the other end says
	shut  bool   // our stream has ended
	said  bool   // and, over TLS, that was announced
	ended bool   // theirs has
}

// hear compares what has come.
func (e *simEnd) hear(s *simSwitched, b []byte) {
	if !bytes.HasPrefix(s.want, b) {
		e.run.fail("%v: %d bytes of a stream that nobody sent, %d were to come", s.order, len(b), len(s.want))
		b = nil
	}
	s.want = s.want[len(b):]
}

// flow goes on with a stream. It reports false when the connection is over.
func (e *simEnd) flow(s *simSwitched) bool {
	if !s.ended {
		b, err := e.read()
		e.hear(s, b)
		switch {
		case err == io.EOF:
			s.ended = true
			if len(s.want) > 0 {
				e.run.fail("%v: %d bytes of a stream are missing, and it looks complete", s.order, len(s.want))
			}
		case err != nil && e.run.calm:
			e.run.fail("%v: a stream ends with %v, %d bytes before its end", s.order, err, len(s.want))
		}
		if err != nil && err != io.EOF {
			e.p.Close()
			return false
		}
	}
	if !e.run.calm && e.run.dice.percent(2) {
		e.p.Reset()
		return false
	}
	if !s.shut && !e.say(s) {
		e.p.Close()
		return false
	}
	if s.shut && s.ended {
		e.p.Close()
		return false
	}
	return true
}

// say sends what is left, then the end of the stream. It reports false when the connection takes no more.
func (e *simEnd) say(s *simSwitched) bool {
	if !e.write(len(e.out)) {
		if e.run.calm {
			e.run.fail("%v: a stream is not taken", s.order)
		}
		return false
	}
	if len(e.out) > 0 {
		return true
	}
	if e.tls != nil {
		if !s.said {
			s.said = true
			last := e.tls.layer.Alert(make([]byte, 0, record.ControlRoom), alert.CloseNotify)
			e.tls.wire = append(e.tls.wire, last...)
			return e.write(0)
		}
		if len(e.tls.wire) > 0 {
			return true
		}
	}
	s.shut = true
	e.p.CloseWrite()
	return true
}

// switched takes the client out of HTTP. What it has read ahead is the stream's.
func (c *simClient) switched(o *simOrder) {
	if o.offer == simNoOffer {
		c.run.fail("%v: switched without having asked", o)
		return
	}
	c.got++
	c.run.responses++
	c.stream = &simSwitched{order: o, want: o.answerStream()}
	c.out = append(c.out, o.stream[len(o.body):]...)
	c.hear(c.stream, c.in.buf)
	c.in.buf = nil
}

// answerStream is what the upstream says to o when it has switched.
func (o *simOrder) answerStream() []byte { return o.responseBody(o.number * 7919 % 50_000) }

// switches reports whether the upstream has just said that it switches: what it reads next is no request.
func (u *simUpstream) switches() bool {
	return u.stream == nil && len(u.out) == 0 && len(u.script) > 0 && len(u.script[0].write) == 0 &&
		u.script[0].do == simSwitch
}

// switchOver takes the upstream out of HTTP.
func (u *simUpstream) switchOver() {
	o := u.order
	u.stream = &simSwitched{order: o, want: o.stream}
	u.out = o.answerStream()
}
