package metrics

import (
	"fmt"
	"testing"
	"time"
)

func TestRecordingDoesNotAllocate(t *testing.T) {
	s, one := recordingShard()
	if n := testing.AllocsPerRun(100, func() { recordExchange(s, &one) }); n != 0 {
		t.Errorf("%v allocations per exchange", n)
	}
}

// recordingShard is a shard on which some things have a series, and an exchange with one of each.
func recordingShard() (*Shard, Exchange) {
	d := NewDirectory()
	set := d.NewSet(1)
	var last [SeriesKinds]Series
	for k := range SeriesKinds {
		for i := range 40 {
			last[k] = d.Assign(k, fmt.Sprint("name", i))
		}
	}
	return set.Shard(0), Exchange{
		Status: 200, Duration: 812_345, FirstByte: 640_123, Own: -1, Received: 120, Sent: 960, Routed: true,
		Listener: last[ListenerSeries], Service: last[ServiceSeries], Route: last[RouteSeries],
	}
}

// recordExchange is all that a proxied request on kept connections writes, in a turn of its own that is not sampled.
func recordExchange(s *Shard, e *Exchange) {
	s.Up(ExchangesActive)
	s.Inc(UpstreamReuses)
	s.Add(BytesFromClients, 120)
	s.Add(BytesToUpstreams, 180)
	s.Add(BytesFromUpstreams, 900)
	s.Add(BytesToClients, 960)
	service := s.Of(ServiceSeries, e.Service)
	s.Down(UpstreamConnsIdle)
	service.Taken()
	s.Up(UpstreamConnsIdle)
	service.Pooled()
	s.Served(e)
	s.Down(ExchangesActive)
	s.Inc(LogLines)
	s.Set(SmallBuffersUsed, 70)
	s.Set(BulkBuffersUsed, 2)
	s.Set(HeadBuffersUsed, 0)
	s.Set(OldestGeneration, 3)
}

// BenchmarkRecording is what recording costs a request, readings of the clock left out: BenchmarkClock in proxy has
// them.
func BenchmarkRecording(b *testing.B) {
	s, e := recordingShard()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e.Duration, e.Own = (e.Duration*1103515245+12345)&(1<<24-1), -1
		if n++; n%RequestSample == 1 {
			e.Own = e.Duration >> 6
		}
		recordExchange(s, &e)
	}
}

func BenchmarkSnapshot(b *testing.B) {
	set := NewSet(2)
	b.ReportAllocs()
	for b.Loop() {
		set.Snapshot()
	}
}

// BenchmarkFullSeries is what a scrape of all series that there can be costs the control plane.
func BenchmarkFullSeries(b *testing.B) {
	d := NewDirectory()
	set := d.NewSet(2)
	for k := range SeriesKinds {
		for i := range k.Capacity() {
			d.Assign(k, fmt.Sprint("name", i))
		}
		d.Settle(k, 1, time.Now(), func(string) bool { return true })
	}
	b.ReportAllocs()
	for b.Loop() {
		for k := range SeriesKinds {
			set.Series(k)
		}
	}
}

// BenchmarkAssignOther is what a route costs the compilation of a configuration when all series are taken.
func BenchmarkAssignOther(b *testing.B) {
	d := NewDirectory()
	for i := range RouteSeries.Capacity() {
		d.Assign(RouteSeries, fmt.Sprint("name", i))
	}
	for b.Loop() {
		d.Assign(RouteSeries, "one of very many routes")
	}
}
