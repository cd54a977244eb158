package routing

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/internal/hugepage"
)

// BenchmarkMatch measures one match in tables of each shape and size: the median and the 99th percentile of single
// calls, with the clock's own cost in them.
func BenchmarkMatch(b *testing.B) {
	for _, s := range shapes {
		for n := 1; n <= s.most; n *= 10 {
			if n == 100 || testing.Short() && n > 1000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) { benchmarkMatch(b, &s, n) })
		}
	}
}

func benchmarkMatch(b *testing.B, s *shape, n int) {
	_, table := s.build(n)
	requests, want := s.requests(n, 20_000)
	texts := make([]text, len(requests))
	for i, r := range requests {
		texts[i] = text{string(r.Host), string(r.Path), r.Fields}
	}
	requests = nil
	r := Request{Method: []byte("GET")}
	runtime.GC()
	hugepage.Collapse() // as control does
	times := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		texts[i].to(&r)
		before := time.Now()
		got := table.Match(&r)
		times = append(times, time.Since(before))
		if got != want[i] {
			b.Fatalf("got %d, want %d", got, want[i])
		}
		if i++; i == len(texts) {
			i = 0
		}
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2]), "p50-ns")
	b.ReportMetric(float64(times[len(times)*99/100]), "p99-ns")
}

// text is a request without the memory that a Request has for itself.
type text struct {
	host, path string
	fields     []Field
}

// to puts the text into r's memory: what a proxy matches it has just read, and so is in the cache.
func (t *text) to(r *Request) {
	r.Host, r.Path, r.Fields = append(r.Host[:0], t.host...), append(r.Path[:0], t.path...), t.fields
	for i := range r.Fields {
		hashBytes(0, r.Fields[i].Name)
		hashBytes(0, r.Fields[i].Value)
	}
}

// BenchmarkCompile measures building a table, and what it weighs.
func BenchmarkCompile(b *testing.B) {
	for _, s := range shapes {
		for n := 1000; n <= s.most && (n == 1000 || !testing.Short()); n *= 10 {
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) { benchmarkCompile(b, &s, n) })
		}
	}
}

func benchmarkCompile(b *testing.B, s *shape, n int) {
	var builder *Builder
	var table *Table
	for b.Loop() {
		builder, table = s.build(n)
	}
	both := heap()
	runtime.KeepAlive(builder)
	builder = nil
	alone := heap()
	runtime.KeepAlive(table)
	table = nil
	nothing := heap()
	b.ReportMetric(float64(alone-nothing)/float64(n), "B/route")
	b.ReportMetric(float64(both-nothing)/float64(n), "B/route-with-builder")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms")
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkChange measures what it takes to change one route among many, up to the new table.
func BenchmarkChange(b *testing.B) {
	for _, s := range shapes {
		n := min(100_000, s.most)
		if testing.Short() {
			n = 1000
		}
		b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
			builder, table := s.build(n)
			i := 0
			for b.Loop() {
				i = (i + 7919) % n
				if err := builder.Set(Route{Name: fmt.Sprint(i), Rule: s.rule(i + n), Target: i}); err != nil {
					b.Fatal(err)
				}
				var err error
				if table, err = builder.Build(); err != nil {
					b.Fatal(err)
				}
			}
			runtime.KeepAlive(table)
		})
	}
}
