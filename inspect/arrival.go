package inspect

import (
	"fmt"

	"github.com/uringproxy/uringproxy/plan"
)

// protocolWords are the words of configurations for what a listener speaks. What most of them do needs none.
var protocolWords = [...]string{plan.HTTP: "", plan.TCP: "tcp", plan.UDP: "udp", plan.Auto: "auto"}

// arriveAt fills in the port that the client has connected to.
func (e *explainer) arriveAt() {
	a, l := e.asked, e.listener
	a.Request.Port = l.Addr.Port()
	port := uint16(e.question.Port)
	switch {
	case port == 0 || port == a.Request.Port:
		return
	case len(l.Proxied) == 0 && l.Unix == "":
		a.note("clients of listener %s connect to port %d: this is what it would do if they connected to %d", l.Name,
			a.Request.Port, port)
	}
	a.Request.Port = port
}

// arrival explains what becomes of a connection, or of a client's datagrams, before there is a request: in the order of
// proxy, by what is spoken there. Report.Reason says if there will be none.
func (e *explainer) arrival() error {
	a, r, l := e.asked, &e.report, e.listener
	if !l.Requests() && r.Request != nil {
		return fmt.Errorf("explain request: listener %s has protocol = %q, on which there are no requests; "+
			"leave the URL out", l.Name, protocolWords[l.Protocol])
	}
	switch l.Protocol {
	case plan.HTTP:
		return e.connection()
	case plan.UDP:
		return e.datagrams()
	case plan.Auto:
		if secure := a.TLS != nil || a.scheme == "https"; secure && l.TLS != nil {
			return e.secured()
		} else if r.Request != nil && !secure {
			return nil // a plain request needs nothing else
		}
	}
	return e.unknown()
}

// unknown explains what becomes of a connection of which nothing is known but what the tcp routes ask for.
func (e *explainer) unknown() error {
	a, r := e.asked, &e.report
	if a.TLS != nil || a.scheme == "https" {
		e.assume()
		if r.Hello = a.hello; a.hello.Refused != "" {
			e.refuse()
			return nil
		}
	}
	taken, err := e.streamed()
	if err == nil && !taken {
		r.Reason = "no tcp route fits, and the connection is closed"
		if a.TLS != nil {
			r.Reason = "no tcp route fits; the answer is alert 112, and the connection is closed"
		}
	}
	return err
}

// datagrams asks the udp routes.
func (e *explainer) datagrams() error {
	r := &e.report
	if e.asked.TLS != nil {
		return fmt.Errorf("explain datagrams: listener %s has protocol = \"udp\", and nothing is read of what is in "+
			"them; leave TLS out", e.listener.Name)
	}
	c := e.streams()
	if err := c.decide(); err != nil {
		return err
	}
	if r.Datagrams = &c.Standing; c.Winner == nil {
		r.Reason = "no udp route fits, and the client's datagrams are dropped"
	}
	return nil
}

// streamed asks the tcp routes, and tells whether one takes the connection. If TLS ends with it, what is agreed on is
// explained as well.
func (e *explainer) streamed() (taken bool, err error) {
	a, r := e.asked, &e.report
	if len(e.config.Streams) == 0 {
		return false, nil
	}
	c := e.streams()
	if err := c.decide(); err != nil {
		return false, err
	}
	if r.Streams = &c.Standing; c.Winner == nil {
		return false, nil
	}
	switch {
	case c.Forward.TLS == "":
	case a.TLS == nil:
		r.Reason = "tcp route " + c.Winner.Route + " ends TLS, the client speaks none, and the connection is closed"
	default:
		e.terminate()
	}
	return true, nil
}
