package certs

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/internal/hugepage"
)

// many makes a list of n certificates for a name and a wildcard each, without keys.
func many(n int) []*Certificate {
	list := make([]*Certificate, n)
	for i := range list {
		host, shop := fmt.Sprintf("host%d.customer%d.example", i, i), fmt.Sprintf("*.shop%d.example", i)
		list[i] = named("x", ECDSA, -day, day, host, shop)
	}
	return list
}

// BenchmarkFind measures one look-up among many certificates: the median and the 99th percentile of single calls, with
// the clock's own cost in them. The names are in no order, so that what they meet in the table is not in the cache.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		if testing.Short() && n > 1000 {
			continue
		}
		s := NewSet(many(n), nil)
		for _, c := range []struct {
			shape string
			name  func(i int) string
			found bool
		}{
			{"exact", func(i int) string { return fmt.Sprintf("host%d.customer%d.example", i, i) }, true},
			{"wildcard", func(i int) string { return fmt.Sprintf("any%d.shop%d.example", i, i) }, true},
			{"miss", func(i int) string { return fmt.Sprintf("r%x.flood%d.example", rand.Uint64(), i) }, false},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.shape, n), func(b *testing.B) { benchmarkFind(b, s, n, c.name, c.found) })
		}
	}
}

func benchmarkFind(b *testing.B, s *Set, n int, name func(i int) string, want bool) {
	random := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 50_000)
	for i := range names {
		names[i] = name(random.IntN(n))
	}
	runtime.GC()
	hugepage.Collapse() // as control does
	times := make([]time.Duration, 0, b.N)
	asked := make([]byte, 0, 256)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		asked = append(asked[:0], names[i]...) // what a hello says has just been read, and so is in the cache
		before := time.Now()
		_, ok := s.Find(asked)
		times = append(times, time.Since(before))
		if ok != want {
			b.Fatalf("%q: found %v", asked, ok)
		}
		if i++; i == len(names) {
			i = 0
		}
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2]), "p50-ns")
	b.ReportMetric(float64(times[len(times)*99/100]), "p99-ns")
}

// BenchmarkNewSet measures making a set, and what the set itself weighs, by certificate.
func BenchmarkNewSet(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		if testing.Short() && n > 1000 {
			continue
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := many(n)
			var s *Set
			for b.Loop() {
				s = NewSet(list, nil)
			}
			with := heap()
			runtime.KeepAlive(s)
			s = nil
			b.ReportMetric(float64(with-heap())/float64(n), "B/cert")
			runtime.KeepAlive(list)
		})
	}
}

// BenchmarkParse measures reading one certificate with an intermediate and its key, and what it weighs in memory: as it
// is kept, and with its leaf parsed.
func BenchmarkParse(b *testing.B) {
	ca := authority(b, nil, "ca")
	names := []string{"a.example", "*.a.example"}
	for _, leaf := range []*minted{mint(b, ca, nil, names), mint(b, ca, signers.rsa2048(), names)} {
		b.Run(leaf.PublicKeyAlgorithm.String(), func(b *testing.B) {
			var s Store
			cert, key := certPEM(leaf, ca), leaf.keyPEM(b)
			parse := func() *Certificate {
				certs, keys := &file{name: "x", data: []byte(cert)}, &file{name: "y", data: []byte(key)}
				c, fault := s.parse(certs, keys, &owners{})
				if fault != nil {
					b.Fatal(fault)
				}
				return c
			}
			for b.Loop() {
				parse()
			}
			const n = 1000
			nothing := heap()
			list := make([]*Certificate, n)
			for i := range list {
				list[i] = parse()
			}
			kept := heap()
			for i := range list {
				list[i].TLS.Leaf = must(list[i].Leaf())(b)
			}
			b.ReportMetric(float64(kept-nothing)/n, "B/cert")
			b.ReportMetric(float64(heap()-nothing)/n, "B/cert-with-leaf")
			runtime.KeepAlive(list)
		})
	}
}

// BenchmarkReload measures loading a directory again in which nothing has changed, and what each certificate of it
// weighs, together with its place in the store's memory.
func BenchmarkReload(b *testing.B) {
	const n = 1000
	f := newFiles(b)
	ca := authority(b, nil, "ca")
	leaf := mint(b, ca, nil, []string{"a.example"})
	for i := range n {
		f.pair(fmt.Sprint(i), leaf, ca)
	}
	nothing := heap()
	var s Store
	first, _ := s.LoadDir(f.dir)
	weight := float64(heap()-nothing) / n
	for b.Loop() {
		s.LoadDir(f.dir)
	}
	runtime.KeepAlive(first)
	runtime.KeepAlive(&s)
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/cert")
	b.ReportMetric(weight, "B/cert")
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
