package inspect

import (
	"fmt"
	"strings"
)

// hello writes what the client says by TLS.
func (w *writer) hello(h *Hello) {
	lead := "hello     "
	say := func(label, text string) {
		for i, line := range wrapped(text) {
			if i > 0 {
				label = ""
			}
			w.line("%s%-12s %s", lead, label, line)
			lead = strings.Repeat(" ", len(lead))
		}
	}
	list := func(label string, all []string) { say(label, strings.Join(all, ", ")) }
	say("server name", h.SNI)
	list("protocols", h.ALPN)
	list("versions", h.Versions)
	list("suites", h.Suites)
	list("groups", h.Groups)
	say("JA4", h.JA4)
	say("ECH", map[string]string{
		"outer": "an encrypted hello, or what looks like one, is within this one",
		"inner": "this is the inner hello, somebody has decrypted it",
	}[h.ECH])
	if h.GREASE {
		say("GREASE", "numbers that stand for nothing are among these")
	}
	list("certificate", h.Certificate)
	switch {
	case h.Refused != "":
		say("refused", h.Refused)
	case !strings.HasPrefix(lead, " "):
		say("nothing", "is known of it")
	}
}

// wrapped breaks a list into lines that fit a terminal; none for an empty one.
func wrapped(text string) (lines []string) {
	const most = 90
	for len(text) > most {
		at := strings.LastIndex(text[:most], ", ")
		if at < 0 {
			break
		}
		lines, text = append(lines, text[:at+1]), text[at+2:]
	}
	if text != "" {
		lines = append(lines, text)
	}
	return lines
}

// termination writes what is agreed on.
func (w *writer) termination(t *Termination) {
	lead := "tls       "
	say := func(label, format string, args ...any) {
		w.line("%s%-12s %s", lead, label, fmt.Sprintf(format, args...))
		lead = strings.Repeat(" ", len(lead))
	}
	if t.Policy == "" {
		say("policy", "the listener's own")
	} else {
		say("policy", "the one for %s", t.Policy)
	}
	if c := t.Certificate; c != nil {
		text := fmt.Sprintf("%s, %s, for %s", c.Source, c.Kind, shortened(strings.Join(c.Names, ", ")))
		if c.Default {
			text += "; the default, since none is for the server name"
		}
		say("certificate", "%s", text)
	}
	if t.Version != "" {
		say("version", "%s", t.Version)
	}
	if t.ALPN != "" {
		say("protocol", "%s", t.ALPN)
	}
	if t.ClientCertificate != "" {
		say("client", "certificate: %s", t.ClientCertificate)
	}
}

// stream writes which tcp or udp route a connection or a client takes.
func (w *writer) stream(s *Standing, of family) {
	takes := "takes the connection as it is"
	switch {
	case of == ofDatagrams:
		takes = "takes the client's datagrams"
	case s.Forward.TLS != "":
		takes = "takes what is in TLS"
	}
	w.line("")
	w.line("%s %s %s    %s", strings.TrimPrefix(of.one, "a "), s.Winner.Route, takes, s.Winner.place())
	w.taken(s.Winner, s.Forward)
	w.list("these "+of.many+" fit too, and come later", s.Later, omitted(s.Omitted, true))
	w.list("these "+of.many+" do not fit", s.Misses, omitted(s.Omitted, false))
}

// text says what a route takes.
func (l *Limits) text() string {
	var parts []string
	if l.Connections > 0 {
		parts = append(parts, fmt.Sprintf("%d at a time", l.Connections))
	}
	if l.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%d a second, %d at once", l.Rate, l.Burst))
	}
	return strings.Join(parts, ", ")
}
