package main

import (
	"fmt"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/internal/words"
)

// writePassing writes a line for each kind of what passes as it is, where there was something of it.
func writePassing(line func(name, format string, args ...any), p *admin.Passing) {
	kind := func(name string, k *admin.Passage, more string) {
		if k.Begun > 0 {
			line(name, "%d open, %d in all, %d broken%s", k.Open, k.Begun, k.Broken, more)
		}
	}
	awaited := ""
	if p.Awaited > 0 {
		awaited = fmt.Sprintf("; of %s the first bytes are awaited", words.Count(int(p.Awaited), "client"))
	}
	kind("streams", &p.Streams, awaited)
	kind("upgrades", &p.Upgrades, "")
	if moved := p.Copied + p.Bulk + p.Spliced; moved > 0 {
		line("moved", "%s: %s; %d of %s in use", size(int64(moved)), ways(p.Copied, p.Bulk, p.Spliced), p.PipesUsed,
			words.Count(int(p.Pipes), "pipe"))
	}
	if p.Sessions.Begun+p.DatagramsReceived > 0 {
		line("udp", "%s open, %d in all, %d broken; datagrams: %d from clients, %d to them, %d dropped",
			words.Count(int(p.Sessions.Open), "session"), p.Sessions.Begun, p.Sessions.Broken, p.DatagramsReceived,
			p.DatagramsSent, p.DatagramsDropped)
	}
}

// ways are the ways that bytes took.
func ways(copied, bulk, spliced uint64) string {
	all := max(copied+bulk+spliced, 1)
	percent := func(n uint64) string { return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(all)) }
	return percent(copied) + " copied, " + percent(bulk) + " in bulk, " + percent(spliced) + " spliced"
}

// passage is what a shard, or all of them, passed on as it is in an interval, and what is open at its end.
type passage struct {
	streams, upgrades, sessions  int64
	began, upgraded, met, broken uint64
	copied, bulk, spliced        uint64
	received, sent, dropped      uint64

	connections, datagrams bool // there were any since the start
}

func passageBetween(before, now *admin.Passing) (p passage) {
	if now == nil {
		return p
	}
	if before == nil {
		before = &admin.Passing{}
	}
	broken := func(p *admin.Passing) uint64 { return p.Streams.Broken + p.Upgrades.Broken + p.Sessions.Broken }
	return passage{
		streams: now.Streams.Open, upgrades: now.Upgrades.Open, sessions: now.Sessions.Open,
		began:    since(now.Streams.Begun, before.Streams.Begun),
		upgraded: since(now.Upgrades.Begun, before.Upgrades.Begun),
		met:      since(now.Sessions.Begun, before.Sessions.Begun),
		broken:   since(broken(now), broken(before)),
		copied:   since(now.Copied, before.Copied), bulk: since(now.Bulk, before.Bulk),
		spliced:  since(now.Spliced, before.Spliced),
		received: since(now.DatagramsReceived, before.DatagramsReceived),
		sent:     since(now.DatagramsSent, before.DatagramsSent),
		dropped:  since(now.DatagramsDropped, before.DatagramsDropped),

		connections: now.Streams.Begun+now.Upgrades.Begun > 0,
		datagrams:   now.Sessions.Begun+now.DatagramsReceived > 0,
	}
}

func (p *passage) add(b *passage) {
	p.connections, p.datagrams = p.connections || b.connections, p.datagrams || b.datagrams
	p.streams, p.upgrades, p.sessions = p.streams+b.streams, p.upgrades+b.upgrades, p.sessions+b.sessions
	p.began, p.upgraded, p.met, p.broken = p.began+b.began, p.upgraded+b.upgraded, p.met+b.met, p.broken+b.broken
	p.copied, p.bulk, p.spliced = p.copied+b.copied, p.bulk+b.bulk, p.spliced+b.spliced
	p.received, p.sent, p.dropped = p.received+b.received, p.sent+b.sent, p.dropped+b.dropped
}

// draw has a line for streams and upgrades, and one for datagrams, where there were any.
func (p *passage) draw(line func(name, format string, args ...any), each func(uint64) string, seconds float64) {
	if p.connections {
		moved := p.copied + p.bulk + p.spliced
		text := fmt.Sprintf("%d open, %s/s; %d upgraded, %s/s; %s broken/s; %s/s", p.streams, each(p.began),
			p.upgrades, each(p.upgraded), each(p.broken), size(int64(float64(moved)/seconds)))
		if moved > 0 {
			text += ": " + ways(p.copied, p.bulk, p.spliced)
		}
		line("streams", "%s", text)
	}
	if p.datagrams {
		line("udp", "%s, %s/s; %s datagrams/s from clients, %s/s to them, %s/s dropped",
			words.Count(int(p.sessions), "session"), each(p.met), each(p.received), each(p.sent), each(p.dropped))
	}
}
