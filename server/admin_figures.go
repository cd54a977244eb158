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

func (p *process) traffic() admin.Traffic {
	m := p.metrics.Snapshot()
	t := admin.Traffic{
		Connections: m.Gauge(metrics.ConnsActive), Accepted: m.Counter(metrics.ConnsAccepted),
		Refused: m.TotalRefused(), Running: m.Gauge(metrics.ExchangesActive), Requests: m.Requests(),
		Errors: m.TotalErrors(), Upstream: m.Gauge(metrics.UpstreamConnsOpen),
		UpstreamsIdle: m.Gauge(metrics.UpstreamConnsIdle), Snapshots: []int{},
		Duration: percentiles(m.Timing(metrics.RequestDuration)), Own: percentiles(m.Timing(metrics.OwnTime)),
	}
	loops := p.ask()
	for i, s := range p.metrics.Shards() {
		if loops[i] != nil {
			t.Snapshots = append(t.Snapshots, loops[i].snapshots)
		}
		t.Shards = append(t.Shards, shardOf(i, s, loops[i]))
	}
	return t
}

// Metrics is what uringproxy top makes its picture of.
func (p *process) Metrics() *admin.Metrics {
	st := p.Status()
	m := &admin.Metrics{
		Version: st.Version, PID: st.PID, State: st.State, Started: st.Started, Uptime: st.Uptime, Engine: st.Engine,
		Generation: st.Config.Generation, Age: st.Config.Age, Resident: resident(), Services: []admin.Series{},
	}
	for i, s := range p.metrics.Shards() {
		m.Shards = append(m.Shards, admin.Figures{
			Shard:         st.Traffic.Shards[i],
			UpstreamIdle:  s.Gauge(metrics.UpstreamConnsIdle),
			BytesReceived: s.Counter(metrics.BytesFromClients), BytesSent: s.Counter(metrics.BytesToClients),
			Duration:  distribution(s.Timing(metrics.RequestDuration)),
			Own:       distribution(s.Timing(metrics.OwnTime)),
			FirstByte: distribution(s.Timing(metrics.FirstByteTime)),
			Routing:   distribution(s.Timing(metrics.RoutingTime)),
			Turn:      distribution(s.Timing(metrics.TurnTime)),
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

func shardOf(id int, s *metrics.Snapshot, l *loop) admin.Shard {
	a := admin.Shard{
		ID: id, Connections: s.Gauge(metrics.ConnsActive), Accepted: s.Counter(metrics.ConnsAccepted),
		Running: s.Gauge(metrics.ExchangesActive), Requests: s.Requests(), Errors: s.TotalErrors(),
		Upstream: s.Gauge(metrics.UpstreamConnsOpen),
	}
	if l != nil {
		a.Engine = &admin.Loop{
			Turns: l.stats.Polls, Events: l.stats.Events, Syscalls: l.stats.Syscalls, EmptyBuffer: l.stats.NoBufs,
			BuffersHeld: l.held, Buffers: l.buffers,
		}
	}
	return a
}

// loop is what only a shard itself can tell.
type loop struct {
	snapshots     int
	stats         engine.Stats
	held, buffers int64
}

// askTime is how long a shard may take to answer: long for a turn, short for somebody who waits.
const askTime = time.Second

// ask asks each shard. The answer of one that did not answer in time is nil.
func (p *process) ask() []*loop {
	type answer struct {
		id   int
		loop *loop
	}
	answers := make(chan answer, len(p.shards))
	for i, r := range p.shards {
		r.shard.Post(func() {
			l := &loop{snapshots: r.shard.Snapshots(), stats: r.shard.Stats}
			for _, c := range []mem.Class{mem.Small, mem.Bulk, mem.Head} {
				each := int64(r.shard.Mem.Data(mem.Make(c, 0)).Len)
				l.held += int64(r.shard.Mem.InUse(c)) * each
				l.buffers += int64(r.shard.Mem.Count(c)) * each
			}
			answers <- answer{i, l}
		})
	}
	limit := time.NewTimer(askTime)
	defer limit.Stop()
	all := make([]*loop, len(p.shards))
	for range p.shards {
		select {
		case a := <-answers:
			all[a.id] = a.loop
		case <-limit.C:
			return all
		}
	}
	return all
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

// spans is a coarse distribution, in which a value counts as the bound that it does not exceed.
func spans(s *metrics.Spans) admin.Distribution {
	a := admin.Distribution{Count: s.Count(), Sum: s.Sum}
	for i, n := range s.Counts {
		if n > 0 {
			a.Buckets = append(a.Buckets, [2]uint64{metrics.SpanBounds[min(i, len(metrics.SpanBounds)-1)], n})
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
