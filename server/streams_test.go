package server

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/engine/probe"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

const streaming = `
[listeners.web]
address = "127.0.0.1:1"
[listeners.db]
address = "127.0.0.1:53"
protocol = "tcp"
proxy_protocol = ["10.0.0.0/8"]
[listeners.dns]
address = "127.0.0.1:53"
protocol = "udp"
[routes.all]
service = "app"
[tcp_routes.db]
service = "db"
max_connections = 3
[udp_routes.dns]
service = "resolver"
connection_rate = 9
[services.app]
endpoints = ["http://10.0.0.1"]
[services.db]
endpoints = ["tcp://10.0.0.1:53"]
proxy_protocol = "v2"
[services.resolver]
endpoints = ["udp://10.0.0.1:53"]
`

func withStreams(t *testing.T) *process {
	file := filepath.Join(t.TempDir(), "my.toml")
	if err := os.WriteFile(file, []byte(streaming), 0o600); err != nil {
		t.Fatal(err)
	}
	return configured(t, file)
}

func TestRunningStreams(t *testing.T) {
	r := withStreams(t).Running()
	var shown strings.Builder
	e := json.NewEncoder(&shown)
	for _, l := range r.Listeners {
		_ = e.Encode(l)
	}
	for _, all := range []func(func(admin.RunningStream) bool){r.TCPRoutes, r.UDPRoutes} {
		for s := range all {
			_ = e.Encode(s)
		}
	}
	for s := range r.Services {
		_ = e.Encode(s)
	}
	for _, want := range []string{
		`{"name":"web","address":"127.0.0.1:1","protocol":"http","trusted_proxies":[],"proxy_protocol":[]}`,
		`{"name":"db","address":"127.0.0.1:53","protocol":"tcp","trusted_proxies":[],"proxy_protocol":["10.0.0.0/8"]}`,
		`{"name":"dns","address":"127.0.0.1:53","protocol":"udp","trusted_proxies":[],"proxy_protocol":[]}`,
		`{"name":"db","listeners":["db"],"priority":0,"service":"db","tls":"passthrough","max_connections":3,` +
			`"connection_rate":0,"connection_burst":0}`,
		`{"name":"dns","listeners":["dns"],"priority":0,"service":"resolver","max_connections":0,` +
			`"connection_rate":9,"connection_burst":9}`,
		`{"name":"db","balance":"round_robin","proxy_protocol":"v2","endpoints":` +
			`[{"url":"tcp://10.0.0.1:53","address":"10.0.0.1:53","share":1,"cycle":1}]}`,
		`{"name":"resolver","balance":"client_ip","endpoints":` +
			`[{"url":"udp://10.0.0.1:53","address":"10.0.0.1:53","share":1,"cycle":1}]}`,
	} {
		if !strings.Contains(shown.String(), want+"\n") {
			t.Errorf("%s is not in\n%s", want, shown.String())
		}
	}
	if r.Limits.UDPSessions != 16384 || r.Timeouts.Detect != 3 || r.Timeouts.UpgradeIdle != 3600 {
		t.Errorf("%+v, %+v", r.Limits, r.Timeouts)
	}
}

// What there is besides requests is told where people look.
func TestBannerOfStreams(t *testing.T) {
	p := withStreams(t)
	st := p.control.Status()
	var out strings.Builder
	p.opts.Stdout, p.cfg, p.snap, p.choice = &out, st.Config, st.Snapshot, probe.Choice{Engine: "epoll"}
	p.opts.ConfigPaths = []string{"my.toml"}
	p.banner()
	for _, want := range []string{
		"web        http://127.0.0.1:1\n", "db         tcp://127.0.0.1:53\n", "dns        udp://127.0.0.1:53\n",
		"(1 route, 1 tcp route, 1 udp route, 3 services)\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// A session needs a slot and a descriptor beside those of connections.
func TestSlotsForSessions(t *testing.T) {
	l := plan.Limits{Connections: 10, Sessions: 5}
	if with, without := wanted(&l, true), wanted(&l, false); with != without+5 || without != 20+1024 {
		t.Errorf("%d and %d", with, without)
	}
}

// Nothing is said of what passes as it is before there was some of it, and then all of it agrees with what was counted.
func TestPassingFigures(t *testing.T) {
	set := metrics.NewSet(2)
	if p := passing(set.Snapshot()); p != nil {
		t.Errorf("%+v", p)
	}
	m := set.Shard(1)
	for range 3 {
		m.Began(metrics.Streams, 0)
	}
	m.Ended(metrics.Streams, 0, metrics.None)
	m.Ended(metrics.Streams, 0, metrics.TimeoutStream)
	m.Began(metrics.Sessions, 0)
	m.Add(metrics.BytesSpliced, 100)
	m.Add(metrics.DatagramsFromClients, 7)
	m.Drop(metrics.DropBuffers, 2)
	want := admin.Passing{
		Streams: admin.Passage{Open: 1, Begun: 3, Broken: 1}, Sessions: admin.Passage{Open: 1, Begun: 1}, Spliced: 100,
		DatagramsReceived: 7, DatagramsDropped: 2,
	}
	if p := passing(metrics.Sum(set.Shards())); *p != want {
		t.Errorf("%+v, want %+v", *p, want)
	}
	if all := set.Shards(); passing(all[0]) != nil || *passing(all[1]) != want {
		t.Error("a shard's figures are another's")
	}
}

// All that is exposed is there when there is a route of each kind.
func TestMetricsOfStreams(t *testing.T) {
	p := withStreams(t)
	if got := p.configSample(); got.TCPRoutes != 1 || got.UDPRoutes != 1 || got.Listeners != 3 {
		t.Errorf("%+v", got)
	}
	if err := p.WriteMetrics(io.Discard, true); err != nil {
		t.Error(err)
	}
	c := p.config(p.control.Status(), p.started)
	if c.TCPRoutes != 1 || c.UDPRoutes != 1 || !slices.ContainsFunc(c.Listeners, func(l admin.Listener) bool {
		return l == admin.Listener{Name: "dns", Address: "127.0.0.1:53", Protocol: "udp"}
	}) {
		t.Errorf("%+v", c)
	}
}
