package proxy

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/engine/sim"
)

// simUpstream is one connection from the proxy, as an endpoint sees it.
type simUpstream struct {
	simEnd
	in     simReader
	order  *simOrder    // being served
	got    bool         // the order has come whole
	script []simMove    // what is still to be done for it
	stream *simSwitched // nil: it speaks HTTP
	deaf   bool         // a request came before the script for the last one was over: it is not answered
}

// simMove is one thing that an upstream does.
type simMove struct {
	write []byte
	pause int64
	do    simDeed
}

// over reports whether all of it is done.
func (m *simMove) over() bool { return len(m.write) == 0 && m.pause == 0 && m.do == simNothing }

type simDeed uint8

const (
	simNothing simDeed = iota
	simAwaitBody
	simClose
	simReset
	simStall
	simSwitch
)

// serve takes a connection of the proxy's.
func (run *simRun) serve(p *sim.Peer) {
	u := &simUpstream{}
	u.run, u.p, u.act, u.pace = run, p, u.step, run.dice.pace()
	if run.dice.percent(20) {
		p.SetWindow(run.window())
	}
	run.actors = append(run.actors, u.step)
}

func (u *simUpstream) step() {
	if u.idle() {
		return
	}
	if u.switches() {
		u.switchOver()
	}
	if u.stream != nil {
		u.over = !u.flow(u.stream)
		return
	}
	b, err := u.read()
	u.in.buf = append(u.in.buf, b...)
	if fault := u.receive(); fault != nil {
		u.run.fail("the upstream reads %v", fault)
		u.over = true
		return
	}
	if err != nil {
		if u.run.calm && !(err == io.EOF && u.answered() && u.in.empty()) {
			u.run.fail("%v: the upstream's connection ends with %v", u.order, err)
		}
		u.close(false)
		return
	}
	if !u.idle() {
		u.move()
	}
}

// receive follows the requests, one at a time: the proxy never pipelines.
func (u *simUpstream) receive() error {
	if u.deaf {
		u.in.buf = nil
		return nil
	}
	m, err := u.in.next()
	if err != nil {
		return err
	}
	seen := m
	if seen == nil {
		seen = u.in.msg
	}
	if seen != nil && (u.order == nil || u.got) {
		u.deaf = u.got
		if err := u.begin(seen); err != nil || u.deaf {
			return err
		}
	}
	if m == nil {
		return nil
	}
	o := u.order
	u.got = true
	if len(u.in.buf) > 0 && !u.answered() {
		return fmt.Errorf("%q behind %v", u.in.buf[:min(len(u.in.buf), 100)], o)
	}
	if fault := simBodyFault(m.body, o.requestBody(o.size), true); fault != "" || o.bad {
		return fmt.Errorf("%v whole: %s", o, fault)
	}
	for i := range u.script {
		if u.script[i].do == simAwaitBody {
			u.script[i].do = simNothing
		}
	}
	u.finish()
	if len(u.in.buf) > 0 { // it was answered before it was read
		return u.receive()
	}
	return nil
}

// answered reports whether nothing is left to be written.
func (u *simUpstream) answered() bool {
	for _, m := range u.script {
		if len(m.write) > 0 {
			return false
		}
	}
	return len(u.out) == 0
}

// finish waits for the next order when this one has come whole and is answered.
func (u *simUpstream) finish() {
	if u.got && len(u.script) == 0 && len(u.out) == 0 {
		u.order, u.got = nil, false
	}
}

// begin judges a request by its head and plans what will become of it.
func (u *simUpstream) begin(m *simMessage) error {
	number, _ := strconv.Atoi(m.fields["x-number"])
	o := u.run.orders[number]
	target := " /"
	if o != nil && o.offer == simConnect {
		target = " sim.example:443 "
	}
	if o == nil || !o.begun || !strings.HasPrefix(m.line, o.method+target) || !strings.HasSuffix(m.line, " HTTP/1.1") {
		return fmt.Errorf("%q, which nobody sent", m.line)
	}
	for _, field := range []string{"host", "x-forwarded-for", "x-request-id", "via"} {
		if m.fields[field] == "" {
			return fmt.Errorf("%v without %s", o, field)
		}
	}
	if (o.offer == simWebSocket) != (m.fields["connection"] == "upgrade" && m.fields["upgrade"] == "websocket") {
		return fmt.Errorf("%v with the offer %v", o, m.fields)
	}
	if m.fields["connection"] != "" && o.offer != simWebSocket {
		return fmt.Errorf("%v with Connection: %s", o, m.fields["connection"])
	}
	o.heads++
	if most := map[bool]int{false: 1, true: 2}[o.idempotent()]; o.heads > most || u.run.calm && o.heads > 1 {
		return fmt.Errorf("%v for the %d. time", o, o.heads)
	}
	if !u.deaf {
		u.order = o
		u.plan()
	}
	return nil
}

// plan draws what the upstream does with its order.
func (u *simUpstream) plan() {
	d, o := u.run.dice, u.order
	u.script = nil
	add := func(m simMove) { u.script = append(u.script, m) }
	for range d.n(3) {
		if d.percent(30) {
			add(simMove{write: []byte("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")})
		}
	}
	if o.expect && d.percent(70) {
		add(simMove{write: []byte("HTTP/1.1 100 Continue\r\n\r\n")})
	}
	if u.run.calm || d.percent(90) { // else it is answered early
		add(simMove{do: simAwaitBody})
	}
	if d.percent(30) {
		add(simMove{pause: int64(d.n(20e6))})
	}
	if o.offer != simNoOffer && d.percent(70) {
		add(simMove{write: o.granted(d)})
		add(simMove{do: simSwitch})
		return
	}
	answer, last, framed := u.answer()
	if u.run.calm {
		add(simMove{write: answer, do: last})
		return
	}
	if d.percent(5) {
		answer = []byte(wsSwitch[:len(wsSwitch)-4] + "x\r\n\r\n") // not the Accept of anybody's key
	}
	if d.percent(5) {
		answer = []byte("not HTTP at all\r\n\r\n")
	}
	switch d.n(20) {
	case 0, 1: // breaks off, in a way that can be told from an end
		add(simMove{write: answer[:d.n(len(answer)+1)]})
		add(simMove{pause: int64(d.n(5e6))})
		if framed && d.percent(50) {
			add(simMove{do: simClose})
		} else {
			add(simMove{do: simReset})
		}
	case 2: // never ends
		add(simMove{write: answer[:d.n(len(answer)+1)]})
		add(simMove{do: simStall})
	case 3: // says more than it should
		if framed {
			answer = append(answer, "junk"...)
		}
		add(simMove{write: answer, do: last})
	case 4, 5: // closes a connection that was to be kept
		add(simMove{write: answer})
		add(simMove{pause: int64(d.n(5e6))})
		add(simMove{do: simClose + simDeed(d.n(2))})
	default:
		add(simMove{write: answer, do: last})
	}
}

var simStatuses = []string{
	"200 OK", "200 OK", "200 OK", "201 Created", "204 No Content", "304 Not Modified", "404 Not Found",
}

// answer is a response to the order, what is done behind it, and whether its end can be told without that.
func (u *simUpstream) answer() (raw []byte, last simDeed, framed bool) {
	d, o := u.run.dice, u.order
	var b bytes.Buffer
	status := simStatuses[d.n(len(simStatuses))]
	if o.offer == simConnect {
		status = "403 Forbidden"
	}
	size, minor := d.size(), 1
	last, framed = simNothing, true
	if status[:3] == "204" || status[:3] == "304" {
		size = 0
	}
	if d.percent(10) {
		minor, last = 0, simClose
	}
	fmt.Fprintf(&b, "HTTP/1.%d %s\r\nX-Number: %d\r\nX-Size: %d\r\n", minor, status, o.number, size)
	if d.percent(10) {
		fmt.Fprintf(&b, "X-Pad: %s\r\n", strings.Repeat("p", d.n(9000)))
	}
	if minor == 1 && d.percent(10) {
		b.WriteString("Connection: close\r\n")
		last = simClose
	}
	body := o.responseBody(size)
	switch kind := d.n(5); {
	case status[:3] == "204" || status[:3] == "304":
		body = nil
	case kind < 2:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", size)
	case kind < 4 && minor == 1:
		b.WriteString("Transfer-Encoding: chunked\r\n")
		body = simChunks(d, body)
	case o.method != "HEAD":
		last, framed = simClose, false
		if d.percent(20) && !u.run.calm {
			last = simReset
		}
	}
	b.WriteString("\r\n")
	if o.method != "HEAD" {
		b.Write(body)
	}
	return b.Bytes(), last, framed
}

// move goes on with the script.
func (u *simUpstream) move() {
	for len(u.out) == 0 && len(u.script) > 0 {
		m := &u.script[0]
		if m.pause > 0 {
			pause := m.pause
			m.pause = 0
			u.sleep(pause)
			return
		}
		if len(m.write) > 0 {
			u.out, m.write = m.write, nil
			break
		}
		switch m.do {
		case simAwaitBody, simStall, simSwitch:
			return
		case simClose, simReset:
			u.close(m.do == simReset)
			return
		}
		u.script = u.script[1:]
		u.finish()
	}
	if !u.write(len(u.out)) {
		u.close(false)
		return
	}
	if len(u.out) > 0 {
		return
	}
	if len(u.script) > 0 && u.script[0].over() {
		u.script = u.script[1:]
		u.finish()
	}
	if len(u.script) > 0 && !u.idle() {
		u.sleep(1) // the rest of the script
	}
}
