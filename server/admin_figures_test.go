package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/inspect"
	"github.com/uringproxy/uringproxy/metrics"
)

// answering starts a shard that answers everything with 404, and returns its address.
func answering(t *testing.T) (p *process, at string) {
	t.Helper()
	at = free(t)
	file := filepath.Join(t.TempDir(), "my.toml")
	text := "[listeners.web]\naddress = \"" + at + "\"\n[routes.a]\nhost = \"a.test\"\nservice = \"s\"\n" +
		"[services.s]\nendpoints = [\"http://127.0.0.1:1\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &process{Server: startFrom(t, file, "epoll")}, at
}

// get makes n requests on one connection.
func get(t *testing.T, at string, n int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range n {
		res, err := client.Get("http://" + at + "/")
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// A shard that is held up keeps nobody waiting, and is there with all that it has published.
func TestFiguresOfBusyShards(t *testing.T) {
	p, at := answering(t)
	get(t, at, 3)
	held, release := make(chan struct{}), make(chan struct{})
	p.shards[0].shard.Post(func() {
		close(held)
		<-release
	})
	defer close(release)
	<-held
	st, m := p.Status(), p.Metrics()
	if len(st.Traffic.Shards) != 1 || st.Traffic.Shards[0].Engine.Turns == 0 || st.Traffic.Snapshots[0] == nil ||
		len(m.Shards) != 1 || m.Shards[0].Engine.Syscalls == 0 || m.Shards[0].Engine.Buffers == 0 {
		t.Errorf("%+v, %+v", st.Traffic, m.Shards)
	}
	if err := p.WriteMetrics(io.Discard, false); err != nil {
		t.Error(err)
	}
}

// However fast the figures change, those of one answer agree.
func TestFiguresAgree(t *testing.T) {
	p, at := answering(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		get(t, at, 300)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		before := time.Since(p.started).Seconds()
		st, m := p.Status(), p.Metrics()
		after := time.Since(p.started).Seconds()
		s := &st.Traffic.Shards[0]
		if st.Traffic.Requests != s.Requests || st.Traffic.Accepted != s.Accepted || st.Traffic.Errors != s.Errors ||
			st.Traffic.Running != s.Running || st.Traffic.Connections != s.Connections {
			t.Fatalf("%+v of %+v", st.Traffic, s)
		}
		if st.Uptime < before || m.Uptime < st.Uptime || m.Uptime > after || m.Shards[0].Requests < s.Requests {
			t.Fatalf("%v, %v and %v, %v; %v", before, st.Uptime, m.Uptime, after, m.Shards[0].Requests)
		}
	}
}

// A shard that has not come to the end of a turn has not said how many snapshots it uses.
func TestSnapshotsOfNewShard(t *testing.T) {
	p, _ := answering(t)
	at := p.sample()
	at.shards[0] = new(metrics.Snapshot)
	text, err := json.Marshal(p.traffic(at))
	if err != nil || !strings.Contains(string(text), `"snapshots_in_use":[null]`) {
		t.Errorf("%v, %s", err, text)
	}
}

func TestSpans(t *testing.T) {
	last := len(metrics.SpanBounds) - 1
	if metrics.SpanBounds[last] != uint64(admin.LongestSpan) {
		t.Errorf("the last bound is %d", metrics.SpanBounds[last])
	}
	s := metrics.Spans{Sum: 5}
	s.Counts[0], s.Counts[last], s.Counts[last+1] = 1, 2, 3
	d := spans(&s)
	if d.Count != 6 || d.Quantile(0.1) != time.Microsecond || d.Quantile(0.5) != admin.LongestSpan ||
		d.Quantile(0.6) <= admin.LongestSpan {
		t.Errorf("%+v", d)
	}
}

// What may be a token is shown to those alone who had to show one.
func TestMaskedRules(t *testing.T) {
	const secret = "hunter2"
	file := filepath.Join(t.TempDir(), "my.toml")
	text := "[listeners.web]\naddress = \"127.0.0.1:1\"\n[services.s]\nendpoints = [\"http://127.0.0.1:1\"]\n"
	for name, rule := range map[string]string{
		"header": "Header(`X-Key`, `" + secret + "`)", "header-exp": "HeaderRegexp(`X-Key`, `^" + secret + "$`)",
		"query": "Query(`key`, `" + secret + "`)", "query-exp": "!QueryRegexp(`key`, `^" + secret + "$`)",
	} {
		text += "[routes." + name + "]\nservice = \"s\"\nrule = '''Host(`a.test`) && (" + rule + " || Path(`/x`))'''\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := configured(t, file)
	for _, token := range []string{"", "0123456789abcdef"} {
		p.adminOptions.Token = token
		var shown strings.Builder
		for route := range p.Running().Routes {
			shown.WriteString(route.Rule + "\n")
		}
		for _, url := range []string{"http://a.test/", "http://a.test/x", "http://b.test/"} {
			answer, err := p.Explain(&admin.Question{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(answer)
			if err != nil {
				t.Fatal(err)
			}
			shown.Write(text)
		}
		if has := strings.Contains(shown.String(), secret); has != (token != "") {
			t.Errorf("token %q: %s", token, shown.String())
		}
		if token == "" && !strings.Contains(shown.String(), "Header(`x-key`, `***`)") {
			t.Error(shown.String())
		}
	}
	answer, err := p.Explain(&admin.Question{URL: "http://a.test/", Headers: []string{"X-Key: " + secret}})
	if text, _ := json.Marshal(answer); err != nil || !strings.Contains(string(text), `"winner":{"route":"header"`) {
		t.Errorf("%v, %s", err, text)
	}
}

// The limit that is shown is the one in force.
func TestRunningLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.toml")
	manyRoutes(t, file, 1)
	p := configured(t, file)
	p.room = 77
	if got := p.Running().Limits.MaxConnections; got != 77 {
		t.Errorf("%d clients", got)
	}
}

// Who relies on the admin listener, by an address or a token, is not left without.
func TestAdminAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	for _, tt := range []struct {
		admin config.Admin
		fails bool
	}{
		{config.Admin{Addr: addr}, false},
		{config.Admin{Addr: addr, Explicit: true}, true},
		{config.Admin{Addr: addr, TokenFile: token}, true},
	} {
		s := &Server{log: slog.New(slog.DiscardHandler), cfg: &config.Config{Admin: tt.admin}}
		if err := s.openAdmin(); (err != nil) != tt.fails || s.adminListener != nil {
			t.Errorf("%+v: %v", tt.admin, err)
		}
	}
}

// What is explained of TLS is about the certificates in force, and goes without a URL.
func TestExplainTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.toml")
	text := "[listeners.web]\naddress = \"127.0.0.1:1\"\n[listeners.web.tls]\nself_signed = true\n" +
		"[services.s]\nendpoints = [\"http://127.0.0.1:1\"]\n[routes.r]\nservice = \"s\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := configured(t, file)
	answer, err := p.Explain(&admin.Question{SNI: "localhost", ALPN: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	r := answer.(*inspect.Report)
	if r.Request != nil || r.TLS == nil || r.TLS.Certificate == nil || r.TLS.Certificate.Source != "self-signed" {
		t.Errorf("%+v, TLS %+v", r, r.TLS)
	}
	if answer, err = p.Explain(&admin.Question{ClientHello: "474554202f"}); err != nil {
		t.Fatal(err)
	}
	if r = answer.(*inspect.Report); r.Status != 400 || !strings.Contains(r.Reason, "HTTP") {
		t.Errorf("%+v", r)
	}
}
