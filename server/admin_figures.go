package server

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

// sample is what all shards have published, at one time: everything in an answer comes from one of them, so that its
// parts agree, and who divides by the time between two answers divides by the right one. No shard is disturbed, and one
// that is busy keeps nobody waiting.
type sample struct {
	at     time.Time
	shards []*metrics.Snapshot
	loops  []engine.Stats
}

func (p *process) sample() *sample {
	s := &sample{at: time.Now(), shards: p.metrics.Shards()}
	for i := range s.shards {
		s.loops = append(s.loops, p.shards[i].shard.Stats.Load())
	}
	return s
}

func (p *process) traffic(s *sample) admin.Traffic {
	m := metrics.Sum(s.shards)
	t := admin.Traffic{
		Connections: m.Gauge(metrics.ConnsActive), Accepted: m.Counter(metrics.ConnsAccepted),
		Refused: m.TotalRefused(), Running: m.Gauge(metrics.ExchangesActive), Requests: m.Requests(),
		Errors: m.TotalErrors(), Upstream: m.Gauge(metrics.UpstreamConnsOpen),
		UpstreamsIdle: m.Gauge(metrics.UpstreamConnsIdle), Snapshots: []*int64{},
		Duration: percentiles(m.Timing(metrics.RequestDuration)), Own: percentiles(m.Timing(metrics.OwnTime)),
		Passing: passing(m),
	}
	for i := range s.shards {
		var used *int64
		if n := s.shards[i].Gauge(metrics.SnapshotsInUse); n > 0 { // it has come to the end of a turn
			used = &n
		}
		t.Snapshots = append(t.Snapshots, used)
		t.Shards = append(t.Shards, p.shardOf(i, s))
	}
	return t
}

// Metrics is what uringproxy top makes its picture of.
func (p *process) Metrics() *admin.Metrics {
	at := p.sample()
	snap := p.control.Status().Snapshot
	m := &admin.Metrics{
		Version: p.opts.Version, PID: os.Getpid(), State: p.state(), Started: p.started,
		Uptime: at.at.Sub(p.started).Seconds(), Engine: p.engine(), Generation: snap.Generation,
		Age: at.at.Sub(snap.Created).Seconds(), Resident: resident(), Services: []admin.Series{},
	}
	for i, s := range at.shards {
		m.Shards = append(m.Shards, admin.Figures{
			Shard:         p.shardOf(i, at),
			UpstreamIdle:  s.Gauge(metrics.UpstreamConnsIdle),
			BytesReceived: s.Counter(metrics.BytesFromClients), BytesSent: s.Counter(metrics.BytesToClients),
			Duration:  distribution(s.Timing(metrics.RequestDuration)),
			Own:       distribution(s.Timing(metrics.OwnTime)),
			FirstByte: distribution(s.Timing(metrics.FirstByteTime)),
			Routing:   distribution(s.Timing(metrics.RoutingTime)),
			Turn:      distribution(s.Timing(metrics.TurnTime)),
			TLS:       tlsFigures(s),
			Passing:   passing(s),
		})
	}
	for _, v := range p.metrics.Series(metrics.ServiceSeries) {
		if v.Total() > 0 {
			m.Services = append(m.Services, admin.Series{
				Name: v.Name, Requests: v.Total(), Errors: v.Errors, Duration: spans(&v.Duration),
			})
		}
	}
	return m
}

// shardOf is what a sample has of one shard.
func (p *process) shardOf(id int, at *sample) admin.Shard {
	s, l := at.shards[id], &at.loops[id]
	held := func(g metrics.Gauge, c mem.Class) int64 {
		return s.Gauge(g) * int64(p.shards[id].shard.Mem.Data(mem.Make(c, 0)).Len)
	}
	return admin.Shard{
		ID: id, Connections: s.Gauge(metrics.ConnsActive), Accepted: s.Counter(metrics.ConnsAccepted),
		Running: s.Gauge(metrics.ExchangesActive), Requests: s.Requests(), Errors: s.TotalErrors(),
		Upstream: s.Gauge(metrics.UpstreamConnsOpen),
		Engine: admin.Loop{
			Turns: l.Polls, Events: l.Events, Syscalls: l.Syscalls, EmptyBuffer: l.NoBufs,
			BuffersHeld: held(metrics.SmallBuffersUsed, mem.Small) + held(metrics.BulkBuffersUsed, mem.Bulk) +
				held(metrics.HeadBuffersUsed, mem.Head) + held(metrics.RecordBuffersUsed, mem.Record),
			Buffers: held(metrics.SmallBuffers, mem.Small) + held(metrics.BulkBuffers, mem.Bulk) +
				held(metrics.HeadBuffers, mem.Head) + held(metrics.RecordBuffers, mem.Record),
		},
	}
}

func percentiles(d *metrics.Distribution) admin.Percentiles {
	at := func(q float64) float64 { return seconds(d.Quantile(q)) }
	return admin.Percentiles{
		Count: d.Count, P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: seconds(d.Max),
	}
}

func seconds(ns uint64) float64 { return time.Duration(ns).Seconds() }

func distribution(d *metrics.Distribution) admin.Distribution {
	a := admin.Distribution{Count: d.Count, Sum: d.Sum}
	for value, n := range d.Buckets {
		a.Buckets = append(a.Buckets, [2]uint64{value, n})
	}
	return a
}

// spans is a coarse distribution, in which a value counts as the bound that it does not exceed, or as one more than the
// last of them.
func spans(s *metrics.Spans) admin.Distribution {
	a := admin.Distribution{Count: s.Count(), Sum: s.Sum}
	for i, n := range s.Counts {
		bound := uint64(admin.LongestSpan) + 1
		if i < len(metrics.SpanBounds) {
			bound = metrics.SpanBounds[i]
		}
		if n > 0 {
			a.Buckets = append(a.Buckets, [2]uint64{bound, n})
		}
	}
	return a
}

// resident is the memory that the process has in use, in bytes; 0 if the kernel does not tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
