package main

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/internal/words"
)

// picture is what there is to be seen: an interval, what else has to be said, and how much room there is.
type picture struct {
	shown          *interval      // nil: nothing yet
	now            *admin.Metrics // of which process
	trouble        string         // why there is nothing newer; empty if there is
	foot           string
	order          int
	columns, lines int // 0: as many as it takes
	paint          func(color, s string) string
}

// bold is for what is looked for first.
const (
	bold = "1"
	red  = "31"
)

// draw lays the picture out, line by line.
func (p *picture) draw() []string {
	lines := []string{p.cut(p.title()), ""}
	if p.trouble != "" {
		lines[1] = p.paint(red, p.cut(p.trouble))
	}
	if p.shown != nil {
		lines = append(lines, p.summary()...)
		room := -1
		if p.lines > 0 {
			room = p.lines - len(lines) - 1
		}
		lines = append(lines, p.tables(room)...)
	}
	if p.lines == 0 {
		return lines
	}
	if len(lines) > p.lines-1 {
		lines = lines[:max(p.lines-1, 0)]
	}
	for len(lines) < p.lines-1 {
		lines = append(lines, "")
	}
	return append(lines, p.cut(p.foot))
}

func (p *picture) title() string {
	m := p.now
	return fmt.Sprintf("uringproxy %s, process %d, %s for %s; %s %s; config %d for %s", printable(m.Version), m.PID,
		printable(m.State), ago(m.Uptime), printable(m.Engine.Name), printable(m.Engine.Tier), m.Generation, ago(m.Age))
}

// summary is what the process did as a whole.
func (p *picture) summary() []string {
	i, a := p.shown, &p.shown.total
	var lines []string
	line := func(name, format string, args ...any) {
		text := p.cut(fmt.Sprintf("%-10s %s", name, fmt.Sprintf(format, args...)))
		if cut := len(name); cut < len(text) {
			text = p.paint(bold, text[:cut]) + text[cut:]
		}
		lines = append(lines, text)
	}
	each := func(n uint64) string { return rate(float64(n) / i.seconds) }
	line("requests", "%s/s, %s errors/s, %d running", each(a.requests), each(a.errors), a.running)
	line("latency", "%s, mean %s", quantiles(a.duration), span(a.duration.Mean()))
	line("cost", "%s", a.cost())
	line("clients", "%d connected, %s/s from them, %s/s to them", a.connections,
		size(int64(float64(a.received)/i.seconds)), size(int64(float64(a.sent)/i.seconds)))
	if a.secure {
		line("tls", "%d connected, %s handshakes/s, %s by ticket, %s failed, %d running; %s", a.encrypted,
			each(a.shaken), each(a.resumed), each(a.refused), a.shaking, quantiles(a.handshake))
	}
	a.passage.draw(line, each, i.seconds)
	line("upstreams", "%s, %d idle; first byte %s", words.Count(int(a.upstream), "connection"), a.upstreamIdle,
		quantiles(a.firstByte))
	line("loop", "%s turns/s of %s events, p99 %s; %s system calls a request", each(a.turns),
		ratio(a.events, a.turns), span(a.turn.Quantile(0.99)), ratio(a.syscalls, a.requests))
	line("memory", "buffers %s of %s, process %s%s", size(a.held), size(a.buffers), size(p.now.Resident),
		without(a.empty))
	return append(lines, "")
}

// cost says where the time of a request goes; a dash when none of the interval was measured.
func (a *activity) cost() string {
	if a.own.Count == 0 {
		return "-"
	}
	routing, records, rest, upstream := a.costs()
	text := fmt.Sprintf("proxy %s a request: routing %s, ", span(routing+records+rest), span(routing))
	if a.secure {
		text += fmt.Sprintf("TLS %s, ", span(records))
	}
	return text + fmt.Sprintf("rest %s; upstream %s", span(rest), span(upstream))
}

// without says how often there was no buffer to receive into, if that happened.
func without(times uint64) string {
	if times == 0 {
		return ""
	}
	return fmt.Sprintf("; %s found no buffer", words.Count(int(times), "receive"))
}

// tables has a row for each shard and each service, as many as there is room for; a negative room is endless.
func (p *picture) tables(room int) []string {
	shards, services := sorted(p.shown.shards, p.order), sorted(p.shown.services, p.order)
	few := len(shards)
	if room >= 0 {
		room -= 3 // two heads and a gap
		few = min(few, max(room-len(services), room/2))
		services = services[:min(len(services), max(room-few, 0))]
	}
	hidden := len(shards) - max(few, 0)
	shards = shards[:max(few, 0)]
	lines := []string{p.head("%-5s %7s %5s %6s %6s %6s %6s %6s %7s %4s %4s %7s", "SHARD", "REQ/S", "ERR/S", "P50",
		"P99", "P99.9", "OWN", "CONNS", "TURNS/S", "EV/T", "SYS", "BUFFERS")}
	for n := range shards {
		lines = append(lines, p.cut(p.shardRow(&shards[n])))
	}
	more := len(p.shown.services) - len(services)
	lines = append(lines, "", p.head("%-24s %9s %8s %7s %7s %7s %7s", "SERVICE", "REQ/S", "ERR/S",
		"P50", "P99", "P99.9", "MEAN"))
	for n := range services {
		lines = append(lines, p.cut(p.serviceRow(&services[n])))
	}
	if hidden+more > 0 {
		p.foot += fmt.Sprintf("   not shown: %s, %s", words.Count(hidden, "shard"), words.Count(more, "service"))
	}
	return lines
}

func (p *picture) head(format string, names ...any) string {
	return p.paint(bold, p.cut(fmt.Sprintf(format, names...)))
}

func (p *picture) shardRow(a *activity) string {
	each := func(n uint64) string { return rate(float64(n) / p.shown.seconds) }
	at := func(q float64) string { return span(a.duration.Quantile(q)) }
	return fmt.Sprintf("%-5s %7s %5s %6s %6s %6s %6s %6d %7s %4s %4s %7s", a.name, each(a.requests), each(a.errors),
		at(0.5), at(0.99), at(0.999), span(a.own.Mean()), a.connections, each(a.turns), ratio(a.events, a.turns),
		ratio(a.syscalls, a.requests), size(a.held))
}

// serviceRow has bounds in the place of percentiles: those of a service are coarse.
func (p *picture) serviceRow(a *activity) string {
	each := func(n uint64) string { return rate(float64(n) / p.shown.seconds) }
	at := func(q float64) string {
		if a.duration.Count == 0 {
			return "-"
		}
		t := a.duration.Quantile(q)
		if t > admin.LongestSpan {
			return fmt.Sprintf(">%.0fs", admin.LongestSpan.Seconds())
		}
		return "≤" + brief(t.Seconds())
	}
	name := a.name
	if len(name) > 24 {
		name = name[:23] + "…"
	}
	return fmt.Sprintf("%-24s %9s %8s %7s %7s %7s %7s", name, each(a.requests), each(a.errors), at(0.5), at(0.99),
		at(0.999), span(a.duration.Mean()))
}

func quantiles(d admin.Distribution) string {
	if d.Count == 0 {
		return "-"
	}
	at := func(q float64) string { return brief(d.Quantile(q).Seconds()) }
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s", at(0.5), at(0.99), at(0.999))
}

// span is a time that was measured; a dash for none.
func span(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return brief(d.Seconds())
}

// cut makes a line as long as there are columns, at most.
func (p *picture) cut(s string) string {
	if p.columns == 0 || utf8.RuneCountInString(s) <= p.columns {
		return s
	}
	return string([]rune(s)[:p.columns])
}
