package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/admin"
)

// made is a process that the test makes up.
type made struct {
	refused *admin.Reload
	asked   atomic.Uint64 // how often for its metrics
	pid     atomic.Int64
}

func (m *made) Ready() bool { return true }

func (m *made) Status() admin.Status {
	started := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	last := &admin.Reload{Trigger: "api", OK: true, At: started.Add(time.Minute)}
	if m.refused != nil {
		m.refused.At = started.Add(59*time.Minute + 57*time.Second)
		last = m.refused
	}
	return admin.Status{
		Version: "v1.2.3", PID: 77, State: "serving", Started: started, Uptime: 3600,
		Engine: admin.Engine{Name: "uring", Tier: "T3", Shards: 2},
		Config: admin.Config{
			Generation: 4, Source: "my.toml", Age: 61.2, Watching: true,
			Routes: 12, TCPRoutes: 2, UDPRoutes: 1, Services: 1,
			Listeners: []admin.Listener{
				{Name: "web", Address: "0.0.0.0:80", Protocol: "http"},
				{Name: "in", Address: "unix:/run/in.sock"},
				{Name: "pg", Address: "0.0.0.0:5432", Protocol: "tcp"},
				{Name: "dns", Address: "0.0.0.0:53", Protocol: "udp"},
			},
			Waiting: []string{"engine.pin", "engine.shards"}, Reloads: 5, ReloadsFailed: 1,
		},
		TLS: &admin.TLS{
			Listeners: 1, Mode: "shard", All: 2, Open: 5, Running: 2, Done: 120, Resumed: 80, Failed: 3,
			Handshake: admin.Percentiles{Count: 120, P50: 0.0012, P90: 0.0015, P99: 0.009, P999: 0.009, Max: 0.0095},
			Certificates: []admin.Certificate{
				{
					Names: []string{"www.example.com", "example.com"}, Source: "certs/example.crt", Kind: "ECDSA",
					Days: 9.5, Problems: []string{"expires soon, on 2026-11-10 12:00 UTC: renew it"},
				},
				{Names: []string{"*.example.org"}, Source: "certs/org.crt", Kind: "RSA", Days: 80.1},
			},
		},
		Traffic: admin.Traffic{
			Connections: 9, Accepted: 100, Refused: 2, Running: 3, Requests: 1000, Errors: 1, Upstream: 7,
			UpstreamsIdle: 6, Snapshots: []*int64{new(int64(1)), nil},
			Duration: admin.Percentiles{Count: 1000, P50: 0.000812, P90: 0.0011, P99: 0.0021, P999: 0.0123, Max: 1.5},
			Own:      admin.Percentiles{Count: 1000, P50: 7.1e-6, P90: 9e-6, P99: 2e-5, P999: 1e-4, Max: 0.001},
			Passing: &admin.Passing{
				Streams: admin.Passage{Open: 12, Begun: 340, Broken: 3}, Upgrades: admin.Passage{Open: 5, Begun: 20},
				Sessions: admin.Passage{Open: 7, Begun: 99}, Copied: 31 << 20, Bulk: 205 << 20, Spliced: 1 << 30,
				PipesUsed: 4, Pipes: 16, Awaited: 1, DatagramsReceived: 1000, DatagramsSent: 990, DatagramsDropped: 10,
			},
			Shards: []admin.Shard{
				{ID: 0, Connections: 5, Requests: 600, Engine: admin.Loop{
					Turns: 1000, Events: 2500, Syscalls: 2400, BuffersHeld: 81920, Buffers: 64 << 20,
				}},
				{ID: 1, Connections: 4, Requests: 400, Engine: admin.Loop{
					Turns: 1000, Events: 1500, Syscalls: 1600, Buffers: 64 << 20,
				}},
			},
		},
		LastReload: last, Refused: m.refused,
	}
}

func (m *made) Reload() admin.Reloaded {
	if m.refused != nil {
		return admin.Reloaded{Reload: *m.refused, Config: m.Status().Config}
	}
	return admin.Reloaded{Reload: admin.Reload{OK: true, Seconds: 0.00312}, Config: m.Status().Config}
}

func (m *made) Running() *admin.Running { return &admin.Running{} }

func (m *made) Explain(*admin.Question) (any, error) { return nil, errors.New("not in this test") }

func (m *made) WriteMetrics(io.Writer, bool) error { return errors.New("not in this test") }

// Metrics are those of a process that does in each second, which is what lies between two questions, the same.
func (m *made) Metrics() *admin.Metrics {
	n := m.asked.Add(1)
	st := m.Status()
	f := admin.Figures{
		Shard: admin.Shard{ID: 0, Connections: 9, Requests: 1000 * n, Errors: 2 * n, Running: 3, Upstream: 7,
			Engine: admin.Loop{
				Turns: 500 * n, Events: 2500 * n, Syscalls: 4200 * n, BuffersHeld: 1 << 20, Buffers: 64 << 20,
			}},
		UpstreamIdle: 6, BytesReceived: 100_000 * n, BytesSent: 2_000_000 * n,
		Duration:  times(n, 990, 800_000, 9, 2_000_000, 1, 50_000_000),
		Own:       times(n, 1000, 7_000),
		FirstByte: times(n, 1000, 700_000),
		Routing:   times(n, 16, 300),
		Turn:      times(n, 500, 40_000),
		TLS: &admin.TLSFigures{
			Connections: 5, Running: 2, Done: 30 * n, Resumed: 20 * n, Failed: n,
			Handshake: times(n, 29, 1_200_000, 1, 9_000_000), Records: times(n, 16, 900),
		},
		Passing: &admin.Passing{
			Streams: admin.Passage{Open: 12, Begun: 3 * n, Broken: n}, Upgrades: admin.Passage{Open: 5, Begun: 2 * n},
			Sessions: admin.Passage{Open: 7, Begun: n}, Copied: n << 20, Bulk: 3 * n << 20, Spliced: 60 * n << 20,
			DatagramsReceived: 1000 * n, DatagramsSent: 990 * n, DatagramsDropped: 10 * n,
		},
	}
	quiet := admin.Figures{Shard: admin.Shard{ID: 1}}
	out := &admin.Metrics{
		Version: st.Version, PID: 77 + int(m.pid.Load()), State: st.State, Started: st.Started,
		Uptime: 3600 + float64(n), Engine: st.Engine, Generation: 4, Age: 61.2, Resident: 45 << 20,
		Shards: []admin.Figures{f, quiet},
	}
	for i := range uint64(3) {
		out.Services = append(out.Services, admin.Series{
			Name: fmt.Sprint("app", i), Requests: (i + 1) * 100 * n, Errors: (3 - i) * n,
			Duration: times(n, (i+1)*100, 1_000_000),
		})
	}
	return out
}

// times is a distribution of n times as many values as pairs say: how many, and each in nanoseconds.
func times(n uint64, pairs ...uint64) (d admin.Distribution) {
	for i := 0; i < len(pairs); i += 2 {
		count, value := n*pairs[i], pairs[i+1]
		d = d.Plus(admin.Distribution{Count: count, Sum: count * value, Buckets: [][2]uint64{{value, count}}})
	}
	return d
}

// serve answers as m on a unix socket, and returns its address.
func serve(t *testing.T, m *made) string {
	t.Helper()
	return serveWith(t, m, "")
}

// serveWith is serve, for those who show a token.
func serveWith(t *testing.T, m *made, token string) string {
	t.Helper()
	address, stop := answerAt(t, m, "unix:"+filepath.Join(t.TempDir(), "admin.sock"), token)
	t.Cleanup(stop)
	return address
}

// answerAt answers as m until stop.
func answerAt(t *testing.T, m *made, at, token string) (address string, stop func()) {
	t.Helper()
	options := admin.Options{Token: token, Log: slog.New(slog.DiscardHandler)}
	l, err := admin.Listen(admin.Address(at), options)
	if err != nil {
		t.Fatal(err)
	}
	s := admin.Serve(l, m, options)
	return string(admin.AddressOf(l)), func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
