package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soak is the duration that URINGPROXY_SOAK asks for, for tests that can go on for longer than they usually do; else
// usual.
func soak(t *testing.T, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("URINGPROXY_SOAK")
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("URINGPROXY_SOAK: %v; write a duration such as 60s", err)
	}
	return d
}

// wrk is a run of wrk in the background.
type wrk struct {
	t     *testing.T
	out   bytes.Buffer
	ended chan struct{} // closed when it has ended; out and err are valid then
	err   error
}

// startWrk loads url from that many connections for d. No response is late unless it takes as long as anything may
// here.
func startWrk(t *testing.T, url string, connections int, d time.Duration) *wrk {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d+2*hang)
	seconds := strconv.Itoa(max(1, int(d.Seconds())))
	w := &wrk{t: t, ended: make(chan struct{})}
	cmd := exec.CommandContext(ctx, Tool(t, "wrk"), "-t", "2", "-c", strconv.Itoa(connections), "-d", seconds+"s",
		"--timeout", "30s", "--latency", url)
	cmd.Stdout, cmd.Stderr = &w.out, &w.out
	go func() {
		w.err = cmd.Run()
		close(w.ended)
	}()
	t.Cleanup(func() { cancel(); <-w.ended })
	return w
}

// running reports whether the load goes on.
func (w *wrk) running() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

// check waits for the end and expects requests, and no error of any kind. It returns the number of requests.
func (w *wrk) check() int {
	w.t.Helper()
	if <-w.ended; w.err != nil {
		w.t.Fatalf("wrk: %v\n%s", w.err, &w.out)
	}
	text := w.out.String()
	m := wrkRequests.FindStringSubmatch(text)
	if m == nil || strings.Contains(text, "Socket errors") || strings.Contains(text, "Non-2xx") {
		w.t.Fatalf("wrk found errors:\n%s", text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		w.t.Fatalf("wrk made no requests:\n%s", text)
	}
	return n
}

// A thousand connections that are always busy, without one error and without a worker thread of the kernel's.
func TestWrk(t *testing.T) {
	up := hello(t)
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL(), addr), "--engine", engine)
		load := startWrk(t, "http://"+addr+"/", 1024, soak(t, 3*time.Second))
		client := Client(t)
		for load.running() {
			if res := get(t, client, "GET", "http://"+addr+"/"); res.StatusCode != 200 {
				t.Errorf("status %d", res.StatusCode)
			}
			p.NoWorkers()
		}
		n := load.check()
		p.NoWorkers()
		p.Stop()
		t.Logf("%d requests\n%s", n, &load.out)
		if strings.Contains(p.Output(), " errors (") {
			t.Errorf("the proxy counted errors:\n%s", p.Output())
		}
	})
}
