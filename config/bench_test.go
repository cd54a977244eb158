package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyRoutes is a configuration with n routes, one of which has another path.
func manyRoutes(n, odd int) string {
	var b strings.Builder
	b.WriteString("[listeners.web]\naddress = \":8080\"\n[services.app]\nendpoints = [\"http://127.0.0.1:9000\"]\n")
	for i := range n {
		path := "/api"
		if i == odd {
			path = "/other/path"
		}
		fmt.Fprintf(&b, "\n[routes.route-%07d]\nhost = \"h%07d.example.com\"\npath_prefix = %q\nservice = \"app\"\n",
			i, i, path)
	}
	return b.String()
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		if testing.Short() && n > 1000 {
			continue
		}
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			text := []byte(manyRoutes(n, -1))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, faults := Parse("x", text); len(faults) > 0 {
					b.Fatal(faults)
				}
			}
		})
	}
}

// BenchmarkReload: what a change costs among 100,000 routes, from the file to the list of what changed. The file is
// written by renaming, outside of what is measured; process CPU time tells what the collector costs beside.
func BenchmarkReload(b *testing.B) {
	const n, middle = 100_000, "[routes.route-0050000]"
	base := manyRoutes(n, -1)
	for _, kind := range []struct{ name, text string }{
		{"nothing", base},
		{"route", manyRoutes(n, n/2)},
		{"new-route", strings.Replace(base, middle, "[routes.x]\nservice = \"app\"\n"+middle, 1)},
		{"service", strings.Replace(base, "9000", "9001", 1)},
		{"first-and-last", strings.Replace(manyRoutes(n, n-1), "9000", "9001", 1)},
	} {
		b.Run(kind.name, func(b *testing.B) {
			dir := b.TempDir()
			path, texts := filepath.Join(dir, "a.toml"), [2]string{base, kind.text}
			for i, text := range texts {
				writeFiles(b, dir, map[string]string{fmt.Sprint(i): text})
			}
			l := NewLoader()
			var last *Config
			load := func(i int) {
				if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
					b.Fatal(err)
				}
				if err := os.Link(filepath.Join(dir, fmt.Sprint(i)), path); err != nil {
					b.Fatal(err)
				}
				c, faults := l.Load([]string{path})
				if len(faults) > 0 {
					b.Fatal(faults)
				}
				if last != nil {
					c.Changes(last)
				}
				last = c
			}
			load(0)
			b.ReportAllocs()
			before := cpuTime(b)
			for i := 1; b.Loop(); i++ {
				load(i % 2)
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
