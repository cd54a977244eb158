package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// A service that moves to an address that never was before, again and again: a few IDs are enough, and whoever has one
// now gets the requests.
func TestEndpointsShareIDs(t *testing.T) {
	const moves = 40
	port := newStreet(t, moves)
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			file, socket := filepath.Join(t.TempDir(), "proxy.toml"), filepath.Join(t.TempDir(), "web.sock")
			move := func(house int) {
				text := fmt.Sprintf(metricsConfig, "unix:"+socket, fmt.Sprintf("127.0.3.%d:%d", house, port), "all")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			move(1)
			s := startFrom(t, file, engine)
			c := dial(t, plan.Listener{Unix: socket})
			c.ask("/1", false)
			for house := 2; house <= moves; house++ {
				move(house)
				if a := s.control.Reload(t.Context(), control.ByAPI); a.Err != nil {
					t.Fatal(a.Err)
				}
				c.ask(fmt.Sprint("/", house), false)
				snap := s.control.Status().Snapshot
				if id := snap.Services[0].Endpoints[0].ID; id > 4 {
					t.Fatalf("the ID is %d after %d moves", id, house)
				}
				for s.metrics.Snapshot().Gauge(metrics.OldestGeneration) != int64(snap.Generation) {
					runtime.Gosched()
				}
			}
		})
	}
}

// newStreet listens on one port of 127.0.3.1 and so many addresses that follow. The house of number n answers "/n" with
// that, and nothing else.
func newStreet(t *testing.T, houses int) (port int) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if r.URL.Path == fmt.Sprint("/", at.IP.To4()[3]) {
			_, _ = io.WriteString(w, r.URL.Path) // the proxy may have gone
		}
	})}
	t.Cleanup(func() { server.Close() })
	for house := 1; house <= houses; house++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.3.%d:%d", house, port))
		if err != nil {
			t.Fatal(err)
		}
		port = l.Addr().(*net.TCPAddr).Port
		go func() { _ = server.Serve(l) }() // until it is closed
	}
	return port
}
