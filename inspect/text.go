package inspect

import (
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/internal/words"
)

// Text is the report as people read it on a terminal.
func (r *Report) Text() string {
	w := &writer{}
	w.request(r)
	if r.Hello != nil {
		w.hello(r.Hello)
	}
	if r.TLS != nil {
		w.termination(r.TLS)
	}
	if r.Streams != nil && r.Streams.Winner != nil {
		w.stream(r.Streams, ofConnections)
	}
	if r.Datagrams != nil && r.Datagrams.Winner != nil {
		w.stream(r.Datagrams, ofDatagrams)
	}
	switch {
	case r.Winner != nil && r.Status != 0:
		w.line("")
		w.line("%d: %s    %s", r.Status, r.Reason, r.Winner.place())
	case r.Winner != nil:
		w.winner(r.Winner, r.Forward)
	case r.Status == 404, r.Status != 0 && len(r.Misses)+len(r.Omitted) > 0:
		w.line("")
		w.line("%d: %s", r.Status, r.Reason)
	case r.Status != 0:
		w.line("")
		w.line("%d: %s; no route is asked", r.Status, r.Reason)
	case r.Reason != "" && (r.Listener.Protocol == "" || r.Request != nil):
		w.line("")
		w.line("no request: %s", r.Reason)
	case r.Reason != "":
		w.line("")
		w.line("%s", r.Reason)
	case r.Request == nil && r.TLS != nil && (r.Streams == nil || r.Streams.Winner == nil):
		w.line("")
		w.line("requests take routes from here on; add a URL to ask for one")
	}
	w.list("these fit too, and come later", r.Later, omitted(r.Omitted, true))
	w.list("these do not fit", r.Misses, omitted(r.Omitted, false))
	if s := r.Streams; s != nil && s.Winner == nil {
		title := "before that, no tcp route took the connection"
		if r.TLS == nil && r.Request == nil {
			title = "these tcp routes do not fit"
		}
		w.list(title, s.Misses, omitted(s.Omitted, false))
	}
	if s := r.Datagrams; s != nil && s.Winner == nil {
		w.list("these udp routes do not fit", s.Misses, omitted(s.Omitted, false))
	}
	return w.String()
}

// writer writes lines.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	line := format
	if len(args) > 0 {
		line = fmt.Sprintf(format, args...)
	}
	w.WriteString(strings.TrimRight(line, " ") + "\n")
}

func (w *writer) request(r *Report) {
	q := r.Request
	if q == nil {
		q = &Request{Client: r.Client}
		if r.Hello != nil {
			q.Client = r.Hello.Client
		}
	}
	target := q.Path
	if q.Query != "" {
		target += "?" + q.Query
	}
	if r.Request != nil {
		w.line("request   %s %s%s", q.Method, q.Host, target)
	}
	if q.HostReceived != "" {
		w.line("          the host came as %s", q.HostReceived)
	}
	if q.PathReceived != "" {
		w.line("          the path came as %s", q.PathReceived)
	}
	if q.Client != "" {
		w.line("client    %s", q.Client)
	}
	protocol := ""
	if r.Listener.Protocol != "" {
		protocol = ", " + r.Listener.Protocol
	}
	w.line("listener  %s on %s%s", r.Listener.Name, r.Listener.Address, protocol)
	for _, n := range r.Notes {
		w.line("note      %s", n)
	}
}

func (w *writer) winner(v *Verdict, f *Forward) {
	w.line("")
	w.line("%s gets it    %s", v.Route, v.place())
	w.taken(v, f)
}

// taken says by what a route wins, and where it leads.
func (w *writer) taken(v *Verdict, f *Forward) {
	w.line("├─ rule     %s", v.ruleText())
	if v.Alternative != "" && v.Alternative != v.Rule {
		w.line("├─ by       %s", v.Alternative)
	}
	w.line("├─ order    %s", v.Order)
	if f.Path != "" {
		w.line("├─ path     %s", f.Path)
	}
	if len(f.Upgrade) > 0 {
		w.line("├─ upgrade  %s", strings.Join(f.Upgrade, ", "))
	}
	if l := f.Limits; l != nil {
		w.line("├─ limits   %s", l.text())
	}
	proxy := ""
	if f.Proxy != "" {
		proxy = ", PROXY protocol " + f.Proxy
	}
	w.line("└─ service  %s, %s%s", f.Service, f.Balance, proxy)
	for i, e := range f.Endpoints {
		branch := "├─"
		if i == len(f.Endpoints)-1 {
			branch = "└─"
		}
		if e.Weight == 1 {
			w.line("   %s %s", branch, e.URL)
		} else {
			w.line("   %s %s, weight %d", branch, e.URL, e.Weight)
		}
	}
}

// list writes verdicts below a title.
func (w *writer) list(title string, list []Verdict, rest string) {
	if len(list) == 0 && rest == "" {
		return
	}
	w.line("")
	w.line("%s", title)
	for i := range list {
		v := &list[i]
		branch, trunk := "├─", "│ "
		if i == len(list)-1 && rest == "" {
			branch, trunk = "└─", "  "
		}
		w.line("%s %s    %s", branch, v.Route, v.place())
		w.line("%s   %s", trunk, v.ruleText())
		switch {
		case v.Missed != "":
			w.line("%s   fails at %s: %s", trunk, shortened(v.Missed), v.Because)
		case v.Because != "":
			w.line("%s   %s", trunk, v.Because)
		}
	}
	switch {
	case rest != "" && len(list) > 0:
		w.line("└─ and %s", rest)
	case rest != "":
		w.line("└─ %s", rest)
	}
}

func (v *Verdict) place() string { return fmt.Sprintf("%s:%d", v.File, v.Line) }

func (v *Verdict) ruleText() string {
	if v.Rule == "" {
		return v.everything
	}
	return shortened(v.Rule)
}

// shortened cuts what does not fit a line.
func shortened(s string) string {
	const most = 160
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// byLater counts routes that fit and are not told.
const byLater = "later"

// omitted is what there is to say of routes that are not told: of those that fit, or of the others.
func omitted(list []Omitted, fit bool) string {
	reasons := map[string][2]string{
		byLater:         {"comes later still", "come later still"},
		missedHost:      {"has another host", "have another host"},
		missedPath:      {"has another path", "have another path"},
		missedCondition: {"has other conditions", "have other conditions"},
		missedNever:     {"can never fit", "can never fit"},
		elsewhere:       {"is for other listeners", "are for other listeners"},
	}
	var parts []string
	for _, o := range list {
		if (o.By == byLater) == fit {
			parts = append(parts, words.Group(o.Count)+" "+reasons[o.By][min(o.Count, 2)-1])
		}
	}
	return strings.Join(parts, ", ")
}
