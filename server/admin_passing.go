package server

import (
	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/metrics"
)

// passing is what has passed as it is; nil: there was nothing of the kind.
func passing(m *metrics.Snapshot) *admin.Passing {
	kind := func(p metrics.Passage) admin.Passage {
		return admin.Passage{Open: m.PassagesOpen(p), Begun: m.PassagesBegan(p), Broken: m.PassagesBroken(p)}
	}
	p := &admin.Passing{
		Streams: kind(metrics.Streams), Upgrades: kind(metrics.Upgrades), Sessions: kind(metrics.Sessions),
		Copied: m.Counter(metrics.BytesCopied), Bulk: m.Counter(metrics.BytesBulk),
		Spliced:   m.Counter(metrics.BytesSpliced),
		PipesUsed: m.Gauge(metrics.PipesUsed), Pipes: m.Gauge(metrics.Pipes),
		Awaited:           m.Gauge(metrics.FirstBytesAwaited),
		DatagramsReceived: m.Counter(metrics.DatagramsFromClients),
		DatagramsSent:     m.Counter(metrics.DatagramsToClients),
		DatagramsDropped:  m.TotalDropped(),
	}
	begun := p.Streams.Begun + p.Upgrades.Begun + p.Sessions.Begun
	if begun+p.DatagramsReceived == 0 && p.Awaited == 0 {
		return nil
	}
	return p
}
