package load_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/origin"
)

// figures are what one run of a generator found, and what it cost.
type figures struct{ rate, p50, p99, cpu float64 } // 1/s, the others in seconds

// BenchmarkBesideWrk has the generator and wrk load the same proxy in turns, each alone on the second core with 64
// connections. The proxy, an nginx, and its upstream are on the first, so that they are the ones that cannot do more: a
// generator that is itself the slowest measures mostly itself. It reports the generator's figures by those of wrk:
// medians of the rounds, of which there are as many as iterations.
func BenchmarkBesideWrk(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("one core for the upstream and one for the generators are needed")
	}
	path, err := exec.LookPath("wrk")
	if err != nil {
		b.Skip("wrk is not installed")
	}
	addr := proxyOn(b, "0", serveOn(b, 0))
	var ratios [4][]float64
	for b.Loop() {
		theirs, ours := runWrk(b, path, addr), runOwn(b, addr)
		for i, r := range [...]float64{
			ours.rate / theirs.rate, ours.p50 / theirs.p50, ours.p99 / theirs.p99, ours.cpu / theirs.cpu,
		} {
			ratios[i] = append(ratios[i], r)
		}
	}
	for i, unit := range [...]string{"rate/wrk's", "p50/wrk's", "p99/wrk's", "cpu/wrk's"} {
		slices.Sort(ratios[i])
		b.ReportMetric(ratios[i][len(ratios[i])/2], unit)
	}
	b.ReportMetric(0, "ns/op")
}

const (
	besideConns  = 64
	besideLength = 2 * time.Second
)

// serveOn runs an origin on a core until the benchmark ends.
func serveOn(b *testing.B, core int) netip.AddrPort {
	o, err := origin.Listen(origin.Service{Name: "a", Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- onCore(core, func() error { return o.Serve(ctx) })
	}()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		o.Close()
	})
	return o.Addrs()[0]
}

// proxyOn runs nginx in front of an upstream.
func proxyOn(b *testing.B, core string, upstream netip.AddrPort) netip.AddrPort {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	l.Close() // nginx opens it again
	dir := b.TempDir()
	conf := fmt.Sprintf(`daemon off; master_process off; pid nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http {
	access_log off; keepalive_requests 100000000; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
	uwsgi_temp_path u; scgi_temp_path s;
	upstream u { server %v; keepalive 256; keepalive_requests 100000000; }
	server {
		listen %v;
		location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}`, upstream, addr)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("taskset", "-c", core, "nginx", "-p", dir, "-e", "stderr", "-c", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Skipf("nginx is not installed: %v", err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 1000 {
		if c, err := net.Dial("tcp4", addr.String()); err == nil {
			c.Close()
			return addr
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatal("nginx does not listen")
	return addr
}

// onCore runs f on a thread of its own that has one core.
func onCore(core int, f func() error) error {
	runtime.LockOSThread() // for ever: the thread ends with its goroutine
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind to core %d: %w", core, err)
	}
	return f()
}

func runOwn(b *testing.B, addr netip.AddrPort) (f figures) {
	ended := make(chan error)
	go func() {
		ended <- onCore(1, func() error {
			g, err := load.New(load.Config{Addr: addr, Host: "bench", Conns: besideConns, Services: []string{"a"}})
			if err != nil {
				return err
			}
			defer g.Close()
			var before, after unix.Rusage
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &before); err != nil {
				return err
			}
			r, err := g.Run(load.Phase{Length: besideLength, Services: []string{"a"}})
			if err != nil {
				return err
			}
			if err := unix.Getrusage(unix.RUSAGE_THREAD, &after); err != nil {
				return err
			}
			if n := r.Errors.Sum(); n > 0 {
				return fmt.Errorf("%d errors: %v", n, r.Samples)
			}
			used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			f = figures{
				rate: float64(r.Answered) / r.Elapsed.Seconds(), p50: r.P50.Seconds(), p99: r.P99.Seconds(),
				cpu: float64(used) / float64(r.Answered),
			}
			return nil
		})
	}()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return f
}

var (
	wrkTotal   = regexp.MustCompile(`(\d+) requests in ([0-9.]+s)`)
	wrkPercent = regexp.MustCompile(`(50|99)%\s+([0-9.]+[mu]?s)`)
)

func runWrk(b *testing.B, path string, addr netip.AddrPort) (f figures) {
	cmd := exec.Command("taskset", "-c", "1", path, "-t", "1", "-c", strconv.Itoa(besideConns), "-d",
		besideLength.String(), "--latency", "http://"+addr.String()+load.AnswerPath)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("wrk: %v\n%s", err, out)
	}
	total, percents := wrkTotal.FindSubmatch(out), wrkPercent.FindAllSubmatch(out, -1)
	if total == nil || len(percents) != 2 {
		b.Fatalf("wrk printed something else than expected:\n%s", out)
	}
	n, _ := strconv.Atoi(string(total[1]))
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return figures{
		rate: float64(n) / seconds(b, total[2]), p50: seconds(b, percents[0][2]), p99: seconds(b, percents[1][2]),
		cpu: float64(usage.Utime.Nano()+usage.Stime.Nano()) / float64(n),
	}
}

func seconds(b *testing.B, text []byte) float64 {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		b.Fatal(err)
	}
	return d.Seconds()
}
