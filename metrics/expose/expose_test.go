package expose

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// hostile is a name that no configuration can have, and that must not break the syntax all the same.
const hostile = "a\"b\\c\nd} 1\xff{é"

var epoch = time.Unix(1_700_000_000, 0)

// example is the metrics of two shards that have served something.
func example() Input {
	d := metrics.NewDirectory()
	set := d.NewSet(2)
	e := metrics.Exchange{
		Status: 200, Duration: 3_000_000, FirstByte: 2_000_000, Own: 15_000, Received: 100, Sent: 1000, Routed: true,
		Listener: d.Assign(metrics.ListenerSeries, "web"), Service: d.Assign(metrics.ServiceSeries, hostile),
		Route: d.Assign(metrics.RouteSeries, "all"),
	}
	d.Assign(metrics.RouteSeries, "unused")
	db, dns := d.Assign(metrics.StreamSeries, "db"), d.Assign(metrics.DatagramSeries, "dns")
	for k := range metrics.SeriesKinds {
		d.Settle(k, 1, epoch, func(string) bool { return true })
	}
	for range 99 {
		set.Shard(0).Served(&e)
	}
	e.Status, e.Reason, e.Routed, e.Duration, e.FirstByte = 404, metrics.NoRoute, false, 150_000, -1
	set.Shard(1).Served(&e)
	set.Shard(1).Observe(metrics.TurnTime, 40_000)
	set.Shard(1).Observe(metrics.TurnEvents, 7)
	set.Shard(0).Of(metrics.ServiceSeries, e.Service).Opened()
	set.Shard(0).Set(metrics.LastSwap, 2_500_000)
	set.Shard(0).Handshake(&metrics.Handshake{TLS13: true, Duration: 1_500_000})
	set.Shard(1).Handshake(&metrics.Handshake{Side: metrics.Upstreams, End: metrics.HandshakeCertificate})
	set.Shard(1).HelloRefused(uint8(hello.PlainHTTP))
	set.Shard(1).AlertReceived(uint8(alert.BadCertificate))
	passages(set, db, e.Route, dns)
	in := Input{
		Now: epoch.Add(time.Minute), Started: epoch.Add(-time.Hour),
		Build:   Build{"v1", "go1.26", "uring", "T3"},
		Config:  Config{Generation: 3, Created: epoch, Listeners: 1, Routes: 2, Services: 1, Attempts: 5, Failed: 2},
		Process: Process{UserTime: 1500 * time.Millisecond, ResidentBytes: 1 << 20},
		Runtime: Runtime{AllocatedObjects: 12345678},
		TLS:     TLS{Certificates: []Certificate{{Name: "a.test", Source: "a.pem", NotAfter: epoch}}},
	}
	for i, m := range set.Shards() {
		in.Shards = append(in.Shards, Shard{Metrics: m, Syscalls: uint64(100 + i)})
	}
	for k := range metrics.SeriesKinds {
		in.Series[k] = set.Series(k)
	}
	return in
}

// passages has something pass as it is, of each kind.
func passages(set *metrics.Set, stream, route, datagrams metrics.Series) {
	a, b := set.Shard(0), set.Shard(1)
	for range 3 {
		a.Began(metrics.Streams, stream)
	}
	a.Carried(metrics.Streams, stream, 10, 5000)
	a.Ended(metrics.Streams, stream, metrics.None)
	a.Ended(metrics.Streams, stream, metrics.TimeoutStream)
	a.RefusePassage(metrics.Streams, stream, metrics.LimitStreamRate)
	a.Add(metrics.BytesSpliced, 5010)
	b.Began(metrics.Upgrades, route)
	b.Carried(metrics.Upgrades, route, 6, 7)
	b.RefusePassage(metrics.Upgrades, route, metrics.UpgradeRefused)
	b.Began(metrics.Sessions, datagrams)
	b.Datagrams(datagrams, 2, 1)
	b.Drop(metrics.DropClient, 4)
	b.ProxyReceived(2, metrics.ProxyTaken)
	b.ProxyReceived(0, metrics.ProxyLate)
	b.ProxySent(1)
}

func written(t testing.TB, in Input, openMetrics bool) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, in, openMetrics); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLint(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(written(t, example(), false))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestTextIsParsed(t *testing.T) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	got, err := parser.TextToMetricFamilies(strings.NewReader(written(t, example(), false)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range families {
		name := families[i].sample()
		f := got[name]
		if f == nil {
			t.Errorf("%s is not there", name)
			continue
		}
		if f.GetHelp() != families[i].help || !strings.EqualFold(f.GetType().String(), string(families[i].kind)) {
			t.Errorf("%s is a %s with the help %q", name, f.GetType(), f.GetHelp())
		}
	}
	if len(got) != len(families) {
		t.Errorf("%d families, want %d", len(got), len(families))
	}
	service := got["uringproxy_service_request_errors_total"].GetMetric()[0].GetLabel()[0]
	if want := strings.ToValidUTF8(hostile, "\uFFFD"); service.GetName() != "service" || service.GetValue() != want {
		t.Errorf("label %s is %q, want %q", service.GetName(), service.GetValue(), want)
	}
	h := got["uringproxy_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 100 || h.GetSampleSum() < 0.297 || h.GetSampleSum() > 0.2972 {
		t.Errorf("%d durations with the sum %v", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, b := range h.GetBucket() {
		want := uint64(0)
		if b.GetUpperBound() >= 0.0002 {
			want = 1
		}
		if b.GetUpperBound() >= 0.005 {
			want = 100
		}
		if b.GetCumulativeCount() != want {
			t.Errorf("%d durations up to %v, want %d", b.GetCumulativeCount(), b.GetUpperBound(), want)
		}
	}
}

func TestValues(t *testing.T) {
	text := written(t, example(), false)
	for _, want := range []string{
		`uringproxy_requests_total{shard="0",code="2xx"} 99`,
		`uringproxy_requests_total{shard="1",code="4xx"} 1`,
		`uringproxy_request_errors_total{reason="no_route"} 1`,
		`uringproxy_connections_refused_total{reason="limit_connections"} 0`,
		`uringproxy_connections_refused_total{reason="limit_route_rate"} 1`,
		`uringproxy_passthrough_opened_total{kind="stream"} 3`,
		`uringproxy_passthrough_open{kind="stream"} 1`,
		`uringproxy_passthrough_open{kind="session"} 1`,
		`uringproxy_passthrough_ended_total{kind="stream",reason="done"} 1`,
		`uringproxy_passthrough_ended_total{kind="stream",reason="timeout_stream"} 1`,
		`uringproxy_passthrough_ended_total{kind="upgrade",reason="done"} 0`,
		`uringproxy_passthrough_bytes_total{shard="0",path="spliced"} 5010`,
		`uringproxy_stream_connections_opened_total{stream="db"} 3`,
		`uringproxy_stream_connection_errors_total{stream="db"} 1`,
		`uringproxy_stream_connections_refused_total{stream="db"} 1`,
		`uringproxy_stream_sent_bytes_total{stream="db"} 5000`,
		`uringproxy_route_upgrades_open{route="all"} 1`,
		`uringproxy_route_upgrade_received_bytes_total{route="all"} 6`,
		`uringproxy_route_upgrades_refused_total{route="all"} 1`,
		`uringproxy_udp_route_sessions_open{udp_route="dns"} 1`,
		`uringproxy_udp_route_received_datagrams_total{udp_route="dns"} 2`,
		`uringproxy_dropped_datagrams_total{reason="client_full"} 4`,
		`uringproxy_proxy_headers_received_total{version="2",result="taken"} 1`,
		`uringproxy_proxy_headers_received_total{version="1",result="local"} 0`,
		`uringproxy_proxy_headers_received_total{version="unknown",result="late"} 1`,
		`uringproxy_proxy_headers_sent_total{version="1"} 1`,
		`uringproxy_engine_syscalls_total{shard="1"} 101`,
		`uringproxy_listener_requests_total{listener="web",code="4xx"} 1`,
		`uringproxy_route_requests_total{route="all",code="2xx"} 99`,
		`uringproxy_route_requests_total{route="unused",code="2xx"} 0`,
		`uringproxy_route_request_duration_seconds_bucket{route="all",le="0.005"} 99`,
		`uringproxy_route_request_duration_seconds_bucket{route="all",le="1e-06"} 0`,
		`uringproxy_route_received_bytes_total{route="all"} 9900`,
		`uringproxy_listener_sent_bytes_total{listener="web"} 100000`,
		`uringproxy_request_duration_quantiles_seconds{quantile="1.0"} 0.003`,
		`uringproxy_config_reloads_total{result="ok"} 3`,
		`uringproxy_tls_handshakes_total{side="client",result="done"} 1`,
		`uringproxy_tls_handshakes_total{side="upstream",result="certificate"} 1`,
		`uringproxy_tls_handshakes_done_total{side="client",version="1.3",resumed="false"} 1`,
		`uringproxy_tls_hellos_refused_total{reason="plain HTTP on a port for TLS"} 1`,
		`uringproxy_tls_alerts_received_total{alert="bad_certificate"} 1`,
		`uringproxy_tls_handshake_quantiles_seconds{quantile="1.0"} 0.0015`,
		`uringproxy_tls_certificate_expiry_timestamp_seconds{name="a.test",source="a.pem"} 1.7e+09`,
		`uringproxy_config_age_seconds 60`,
		`uringproxy_config_last_swap_seconds 0.0025`,
		`uringproxy_config_last_reload_timestamp_seconds 0`,
		`uringproxy_process_cpu_seconds_total{mode="user"} 1.5`,
		`uringproxy_loop_turn_events_bucket{le="10.0"} 1`,
		`uringproxy_build_info{version="v1",go="go1.26",engine="uring",tier="T3"} 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(text, `duration_seconds_bucket{route="unused"`) {
		t.Error("a route without requests has a histogram")
	}
}

// A writer's error ends the writing, and is told.
func TestError(t *testing.T) {
	var broken failing
	if err := Write(&broken, example(), true); !errors.Is(err, errBroken) || broken != 1 {
		t.Errorf("%v after %d calls", err, broken)
	}
}

type failing int

var errBroken = errors.New("broken")

func (f *failing) Write([]byte) (int, error) { *f++; return 0, errBroken }

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// docs/metrics.md lists every family.
func TestDocument(t *testing.T) {
	const name = "../../docs/metrics.md"
	const begin = "<!-- the table is made by: go test ./metrics/expose -update -->\n"
	const end = "<!-- end of the table -->\n"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks around its table", name)
	}
	want := before + begin + document() + end + after
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(b) != want {
		t.Errorf("%s is not what the families say: go test ./metrics/expose -update", name)
	}
}

// document is the families as a table.
func document() string {
	var b strings.Builder
	b.WriteString("\n| name | type | labels | meaning |\n|---|---|---|---|\n")
	for i := range families {
		f := &families[i]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.sample(), f.kind, f.labels, f.help)
	}
	b.WriteString("\n")
	return b.String()
}

func BenchmarkWrite(b *testing.B) {
	in := example()
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := Write(&out, in, true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes")
}

// BenchmarkWriteFull is a scrape with as many series as there can be, on each of which something has ended.
func BenchmarkWriteFull(b *testing.B) {
	d := metrics.NewDirectory()
	set := d.NewSet(2)
	for i := range metrics.RouteSeries.Capacity() {
		name := fmt.Sprint("a-name-of-usual-length-", i)
		e := metrics.Exchange{Status: 200, Duration: int64(i) * 1000, Routed: true, FirstByte: -1}
		e.Listener = d.Assign(metrics.ListenerSeries, name)
		e.Service = d.Assign(metrics.ServiceSeries, name)
		e.Route = d.Assign(metrics.RouteSeries, name)
		set.Shard(i % 2).Served(&e)
	}
	in := example()
	for k := range metrics.SeriesKinds {
		in.Series[k] = set.Series(k)
	}
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := Write(&out, in, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes")
}
