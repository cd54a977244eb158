package config

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

var update = flag.Bool("update", false, "write the golden files")

// TestBadFiles compares every fault of testdata/bad/*.toml, with its excerpt, to the golden file beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, faults := Load([]string{file})
			if c != nil || len(faults) == 0 {
				t.Fatal("no fault found")
			}
			var b strings.Builder
			for _, f := range faults {
				b.WriteString(f.Error() + "\n" + f.Excerpt())
			}
			golden := strings.TrimSuffix(file, ".toml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			got, lines := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
			for i := range max(len(got), len(lines)) {
				if i >= len(got) || i >= len(lines) || got[i] != lines[i] {
					t.Fatalf("line %d of %s differs (run with -update after a change of wording); all faults:\n%s",
						i+1, golden, b.String())
				}
			}
		})
	}
}

// TestEverything reads a configuration that sets every key, and compares all of the result.
func TestEverything(t *testing.T) {
	c, faults := Load([]string{"testdata/everything.toml"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if want := (Engine{Backend: "epoll", Tier: "T2", Shards: 3, Pin: true}); c.Engine != want {
		t.Errorf("engine: %+v", c.Engine)
	}
	if want := (plan.Limits{
		Connections: 11, ConnectionsPerIP: 12, LineBytes: 1000, HeaderBytes: 2048, HeaderCount: 13,
		BodyBytes:    10_000_000,
		UpstreamPool: 14, UpstreamConns: 15, RequestsPerConn: 16, BodyRateBytes: 100, BuffersPerShard: 8 << 20,
		Sessions: 19, SessionsPerIP: 20,
	}); c.Limits != want {
		t.Errorf("limits: %+v", c.Limits)
	}
	if want := (plan.Timeouts{
		Header: time.Second, Idle: 2 * time.Second, Connect: 3 * time.Second, FirstByte: 4 * time.Second,
		UpstreamIdle: 5 * time.Second, ResponseIdle: 8 * time.Second, BodyRateWindow: 6 * time.Second,
		Linger: 7 * time.Second, StreamIdle: 9 * time.Second, Detect: 10 * time.Second, UpgradeIdle: 11 * time.Second,
		SessionIdle: 12 * time.Second,
		Drain:       90 * time.Second,
	}); c.Timeouts != want {
		t.Errorf("timeouts: %+v", c.Timeouts)
	}
	if want := (plan.Forward{Forwarded: true}); c.Forward != want {
		t.Errorf("forward: %+v", c.Forward)
	}
	if want := (plan.AccessLog{Path: "/var/log/x.log", Format: plan.LogCLF}); c.AccessLog != want {
		t.Errorf("access log: %+v", c.AccessLog)
	}
	if c.LogLevel != slog.LevelWarn || c.Reload.Watch {
		t.Errorf("level: %v, reload: %+v", c.LogLevel, c.Reload)
	}
	if want := (Handshakes{InFlight: 17, Waiting: 18}); c.Handshakes != want {
		t.Errorf("handshakes: %+v", c.Handshakes)
	}
	plain := slices.DeleteFunc(slices.Clone(c.Listeners), func(l *Listener) bool { return l.TLS != nil })
	if want := []*Listener{
		{Name: "any", Addr: netip.MustParseAddrPort("[::]:8443"), Protocol: plan.Auto,
			Proxied: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
			Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/32")}},
		{Name: "away", Addr: netip.MustParseAddrPort("[::]:80"), Redirect: &Redirect{Port: 8443, Code: 301}},
		{Name: "dns", Addr: netip.MustParseAddrPort("[::]:8443"), Protocol: plan.UDP},
		{Name: "local", Unix: "/run/local.sock"},
		{Name: "web", Addr: netip.MustParseAddrPort("[::]:8080"),
			Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	}; !reflect.DeepEqual(plain, want) {
		t.Errorf("listeners: %+v", plain)
	}
	if want := (plan.Paths{ForwardReceived: true,
		Policy: urlpath.Policy{KeepSlash: true, KeepNUL: true, KeepDoubles: true}}); c.Paths != want {
		t.Errorf("paths: %+v", c.Paths)
	}
	if want := (Admin{
		Unix: "/run/uringproxy/admin.sock", Explicit: true, TokenFile: "/etc/uringproxy/token", Pprof: true,
	}); c.Admin != want {
		t.Errorf("admin: %+v", c.Admin)
	}
	if want := (&Service{Name: "app", Endpoints: []Endpoint{
		{Key: "services.app.endpoints[0]", URL: "http://10.0.0.1", Host: "10.0.0.1", Port: 80, Weight: 1},
		{Key: "services.app.endpoints[1].url", URL: "http://App:81", Host: "app", Port: 81, Weight: 3},
		{Key: "services.app.endpoints[2]", URL: "unix:/run/app.sock", Unix: "/run/app.sock", Weight: 1},
	}}); !reflect.DeepEqual(c.Services[0], want) {
		t.Errorf("services: %+v", c.Services[0])
	}
}

// TestEveryCondition: what the keys of a route become.
func TestEveryCondition(t *testing.T) {
	c, faults := Load([]string{"testdata/everything.toml"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := map[string]string{
		"api": "Host(`*.b.test`, `a.test`) && PathPrefix(`/v1`, `/v2`)",
		"many": "(Host(`a.test`) || !Method(`GET`)) && HostRegexp(`^b[0-9]\\.test$`) && Path(`/a`) && " +
			"PathPrefixRaw(`/im`, `/vi`) && PathRegexp(`^/c$`) && Method(`POST`, `PUT`) && " +
			"ClientIP(`10.0.0.0/8`) && Header(`Accept`, `a`, `b`) && Header(`X-Env`, `test`) && " +
			"Query(`debug`) && Query(`lang`, `de`, `fr`)",
		"chat":  "DestinationPort(`8080`, `9000-9101`)",
		"still": "",
		"tls": "SNI(`*.a.test`) && SNIRegexp(`^a`) && ALPN(`h2`) && TLSVersion(`1.2`, `1.3`) && " +
			"CipherSuite(`TLS_AES_128_GCM_SHA256`) && CipherSuiteOnly(`cbc`) && " +
			"JA4(`t13d1516h2_8daaf6152771_e5627efa2ab1`) && ClientCert(`billing.a.test`) && " +
			"ClientCertRegexp(`^spiffe://a/`)",
		"rest": "",
	}
	for _, r := range c.Routes {
		got := ""
		if r.Rule != nil {
			got = r.Rule.String()
		}
		if !strings.EqualFold(got, want[r.Name]) {
			t.Errorf("%s is\n%s\nwant\n%s", r.Name, got, want[r.Name])
		}
		delete(want, r.Name)
		if r.Name == "many" && r.Priority != -7 || r.Service != "app" {
			t.Errorf("%+v", r)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	if c.Source != DefaultSource || len(c.Listeners) != 1 || c.Listeners[0].Addr.String() != "127.0.0.1:8080" {
		t.Errorf("%+v", c)
	}
	if c.Limits != defaults().Limits || c.Timeouts != defaults().Timeouts || c.Forward != defaults().Forward {
		t.Error("the embedded configuration changes defaults")
	}
	if !strings.Contains(DefaultText(), c.Services[0].Endpoints[1].URL) {
		t.Error("the text is not that of the configuration")
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.toml"): "found no such file", dir: "without *.toml files",
		"/dev/zero": "a binary file",
	} {
		c, faults := Load([]string{path})
		if c != nil || len(faults) != 1 || !strings.Contains(faults.Error(), want) || faults[0].File != path {
			t.Errorf("Load(%s) = %v, %v, want a fault with %q", path, c, faults, want)
		}
	}
}

func TestByteOrderMark(t *testing.T) {
	if _, faults := Parse("bom", append([]byte("\xef\xbb\xbf"), DefaultText()...)); len(faults) > 0 {
		t.Error(faults)
	}
	_, faults := Parse("bom", []byte("\xef\xbb\xbfx = 1\n"+DefaultText()))
	if len(faults) != 1 || faults[0].Line != 1 || faults[0].Column != 1 {
		t.Error(faults)
	}
}

// TestPlainWords: every translation is reached by the library's real message, so that an update of it shows.
func TestPlainWords(t *testing.T) {
	reached := map[string]bool{}
	for _, text := range []string{
		"a:", "a {", "a b;", "a b", "= 1", ".a = 1", "a =\n", "a =", "a = /x", "a = -x", "a = .5", "a = 2020-99-99",
		"a = 1 x",
		"a = \"x\ny", "a = \"x", "a = 'x", `a = """x`, "a = '''x", `a = "\q"`, "a = \"\x01\"", "a = [1 2]",
		"a = { b = 1 c = 2 }",
		"a = [,]", "[a", "[[a] x", "[]", "a = 1\na = 2", "a = 1\n[[a]]", "[a}",
	} {
		_, faults := Parse("x", []byte(text))
		if len(faults) != 1 || strings.Contains(faults[0].Found, "invalid TOML") {
			t.Errorf("%q: %v", text, faults)
			continue
		}
		reached[faults[0].Found+faults[0].Expected] = true
	}
	for _, p := range translations {
		if !reached[p.found+p.expected] {
			t.Errorf("nothing leads to %q", p.message)
		}
	}
}

// TestManyFaults: the time for a file full of faults must not grow with the square of their number.
func TestManyFaults(t *testing.T) {
	var b strings.Builder
	b.WriteString(DefaultText())
	for i := range 5_000 {
		fmt.Fprintf(&b, "[services.service-number-%d]\nendpoints = [\"http://127.0.0.1:9000\"]\n", i)
		fmt.Fprintf(&b, "[routes.route-number-%d]\nhost = \"h%d.test\"\nservice = \"sevrice-nubmer-%d\"\n", i, i, i)
	}
	_, faults := Parse("many", []byte(b.String()))
	if faults.Count() != 5_000 || len(faults) != maxFaults+1 || faults[0].Hint == "" {
		t.Errorf("%d faults, %d of them listed, the first %v", faults.Count(), len(faults), faults[0])
	}
	if last := faults[maxFaults]; !strings.Contains(last.Error(), "4000 more faults") {
		t.Errorf("the last is %v", last)
	}
}

func TestExcerptIsSafeToPrint(t *testing.T) {
	src := newSource("x", "a = \"\x1b[31m\"\t"+strings.Repeat("é", 200))
	excerpt := func(at int) string {
		c := collector{faults: Faults{src.fault(at, "", "", "", "")}}
		return c.finish(nil)[0].Excerpt()
	}
	want := "    1 | a = \"?[31m\"\t" + strings.Repeat("é", 100-12-1) + "…\n      |            \t  ^\n"
	if got := excerpt(len("a = \"\x1b[31m\"\téé")); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	got := excerpt(src.size)
	if strings.ContainsRune(got, '\x1b') || !strings.HasSuffix(got, strings.Repeat(" ", 60)+"^\n") {
		t.Errorf("got\n%q", got)
	}
}
