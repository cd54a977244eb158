package proxy

import (
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// simClient sends its orders and judges what comes back.
type simClient struct {
	simEnd
	in     simReader
	orders []*simOrder
	stream *simSwitched // nil: it speaks HTTP
	next   int          // the first order that was not started
	got    int          // responses
	depth  int          // requests without a response at one time
	held   []byte
	ended  bool // no response can follow
	closed bool // half-closed by us
	mute   bool // what comes is not read

	breakAt int // byte of the output at which the connection is broken off; -1: never
	how     int // 0: reset, 1: close, 2: half-close
}

// patience is how long a client waits for anything, in nanoseconds.
const simPatience = int64(900e9)

// newSimClient makes a client that connects after a while.
func (run *simRun) newSimClient() {
	d := run.dice
	minor := 1
	if d.percent(15) {
		minor = 0
	}
	c := &simClient{depth: 1 + d.n(4), breakAt: -1}
	if minor == 0 { // where the connection may end with any response, nobody sends ahead
		c.depth = 1
	}
	c.run, c.act, c.pace = run, c.step, d.pace()
	c.in.noBody = c.bodiless
	n, total := 1+d.n(6), 0
	for i := range n {
		run.number++
		o := newSimOrder(d, run.number, minor, i == n-1 && d.percent(40))
		if minor == 1 && i == n-1 && d.percent(30) {
			o = newSimOffer(d, run.number)
		}
		if !run.calm && i == n-1 && d.percent(15) {
			o.spoil(d)
		}
		run.orders[o.number] = o
		c.orders = append(c.orders, o)
		total += len(o.head) + len(o.body)
	}
	if !run.calm && d.percent(30) {
		c.breakAt, c.how = d.n(total+1), d.n(3)
		if c.orders[n-1].offer != simNoOffer { // an end in order would be the stream's, which nobody could tell
			c.how = 0
		}
	}
	run.clients = append(run.clients, c)
	run.world.After(1+int64(d.n(50e6)), func() {
		if run.keys == nil {
			c.p = run.world.Dial(0, netip.AddrPort{})
		} else {
			run.port++
			c.p = run.world.Dial(0, netip.AddrPortFrom(simListener.Addr(), run.port))
			ours, theirs := simSecrets(run.t, d)
			run.keys[run.port], c.tls = theirs, &simTLS{}
			c.tls.layer.Start(ours)
		}
		if d.percent(20) {
			c.p.SetWindow(run.window())
		}
		run.actors = append(run.actors, c.step)
		run.after(simPatience, c.giveUp)
	})
}

func (c *simClient) giveUp() {
	if c.over {
		return
	}
	if c.run.calm {
		c.run.fail("%v: client stuck, %d of %d responses", c.orders[0], c.got, len(c.orders))
	}
	c.close(false)
}

// bodiless says which responses have no body.
func (c *simClient) bodiless(m *simMessage) bool {
	s := m.status()
	if s < 200 || s == 204 || s == 304 || c.got == len(c.orders) {
		return s < 200 || s == 204 || s == 304
	}
	o := c.orders[c.got]
	return o.method == "HEAD" || o.offer == simConnect && s < 300
}

func (c *simClient) step() {
	if c.p == nil || c.idle() {
		return
	}
	if c.stream != nil {
		c.over = !c.flow(c.stream)
		return
	}
	if !c.receive() {
		c.over = true
		return
	}
	if c.stream != nil {
		return
	}
	if c.idle() {
		return
	}
	if c.got == len(c.orders) && !c.ended && c.run.dice.percent(80) { // the others wait to be closed by the proxy
		c.close(c.run.dice.percent(10))
		return
	}
	c.order()
	c.send()
}

// receive reads and judges. It reports false when the connection is over.
func (c *simClient) receive() bool {
	b, err := c.read()
	if c.mute {
		b = nil
	}
	if len(b) > 0 && c.ended {
		c.run.fail("%v: %q behind the last response", c.orders[0], b)
	}
	c.in.buf = append(c.in.buf, b...)
	for {
		m, fault := c.in.next()
		if fault != nil {
			c.run.fail("%v: the client reads %v", c.orders[min(c.got, len(c.orders)-1)], fault)
			return false
		}
		if m == nil {
			break
		}
		if c.answer(m, false); c.stream != nil {
			break
		}
	}
	switch {
	case c.stream != nil:
		c.stream.ended = err == io.EOF
		return err == nil || err == io.EOF
	case err == io.EOF:
		c.finished()
		return false
	case err != nil && c.run.calm && c.got < len(c.orders):
		c.run.fail("%v: the client's connection broke: %v", c.orders[0], err)
	}
	return err == nil
}

// finished judges an orderly end of the stream.
func (c *simClient) finished() {
	if m := c.in.ended(); m != nil {
		c.answer(m, true)
	}
	interim := c.in.msg == nil && strings.HasPrefix("HTTP/1.1 1", string(c.in.buf[:min(10, len(c.in.buf))]))
	if !c.in.empty() && !interim {
		c.run.fail("%v: response cut without a reset: %q", c.orders[c.got], c.in.buf[:min(100, len(c.in.buf))])
	}
	if c.ended { // as announced: HTTP/1.0 has no other way to end some bodies
		c.run.unasked += uint64(len(c.orders) - c.got)
	} else if c.run.calm && c.got < len(c.orders) {
		c.run.fail("%v: closed after %d of %d responses", c.orders[c.got], c.got, len(c.orders))
	}
	c.p.Close()
}

// answer judges a response; untilEnd says that only the end of the stream has ended it.
func (c *simClient) answer(m *simMessage, untilEnd bool) {
	run, s := c.run, m.status()
	if c.got == c.next || c.got == len(c.orders) {
		run.fail("%v: response %q to nothing", c.orders[0], m.line)
		return
	}
	o := c.orders[c.got]
	if s == 101 || s < 300 && o.offer == simConnect && s >= 200 {
		c.switched(o)
		return
	}
	if s < 200 {
		if o.minor == 0 || s != 100 && s != 103 {
			run.fail("%v: interim response %q", o, m.line)
		}
		if s == 100 && len(c.held) > 0 {
			c.out, c.held = append(c.out, c.held...), nil
		}
		return
	}
	c.got++
	run.responses++
	c.ended = m.says("connection", "close")
	if o.minor == 0 && !m.says("connection", "keep-alive") {
		c.ended = true
	}
	if o.offer != simNoOffer && len(o.body) > 0 { // nobody knows what becomes of what was sent ahead
		c.mute, c.in.buf = true, nil
	}
	if untilEnd && (o.minor == 1 || m.fields["connection"] != "close") {
		run.fail("%v: response without framing: %q %v", o, m.line, m.fields)
	}
	if number, ours := m.fields["x-number"]; ours {
		if number != strconv.Itoa(o.number) {
			run.fail("%v: got the response to %s", o, number)
			return
		}
		size, _ := strconv.Atoi(m.fields["x-size"])
		whole := o.method != "HEAD" && s != 204 && s != 304
		if fault := simBodyFault(m.body, o.responseBody(size), whole); fault != "" {
			run.fail("%v: response %q: %s", o, m.line, fault)
		}
		return
	}
	if run.calm || s < 400 {
		run.fail("%v: answered by the proxy: %q %q", o, m.line, m.body)
	}
	if o.method == "HEAD" && c.ended { // refused before its method was known, it has a body, which nobody reads
		c.mute, c.in.buf = true, nil
	}
	if o.method != "HEAD" && !strings.HasPrefix(string(m.body), m.line[9:]) {
		run.fail("%v: the proxy's own %q has the body %q", o, m.line, m.body)
	}
}

// order starts the next request when it may.
func (c *simClient) order() {
	if c.held != nil && c.run.dice.percent(5) { // waited long enough for a 100
		c.out, c.held = append(c.out, c.held...), nil
	}
	for c.next < len(c.orders) && c.next-c.got < c.depth && len(c.held) == 0 && len(c.out) < 1<<20 {
		o := c.orders[c.next]
		c.next++
		o.begun = true
		c.out = append(c.out, o.head...)
		if o.expect {
			c.held = o.body
			c.run.after(2e9, func() {
				if !c.over && c.got < c.next && len(c.held) > 0 && c.orders[c.next-1] == o {
					c.out, c.held = append(c.out, c.held...), nil
					c.step()
				}
			})
			return
		}
		c.out = append(c.out, o.body...)
	}
}

// send writes, and breaks off where it is planned.
func (c *simClient) send() {
	if c.closed || c.ended {
		return
	}
	most := len(c.out)
	if c.breakAt >= 0 {
		most = min(most, c.breakAt-c.sent)
	}
	if !c.write(most) {
		c.closed = true // it may still have answers to read
		return
	}
	if c.sent != c.breakAt {
		return
	}
	c.closed = true
	switch c.how {
	case 0, 1:
		c.close(c.how == 0)
	case 2:
		c.p.CloseWrite()
	}
}
