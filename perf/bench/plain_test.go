package bench

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

func TestOptions(t *testing.T) {
	fine := Options{ProxyCore: -1, LoadCore: -1}
	if err := fine.check(); err != nil || fine.Rounds != DefaultRounds {
		t.Errorf("%v: %+v", err, fine)
	}
	for want, wrong := range map[string]func(o *Options){
		"rounds":                       func(o *Options) { o.Rounds = -1 },
		"phases":                       func(o *Options) { o.Length = time.Millisecond },
		"connections":                  func(o *Options) { o.Conns = -3 },
		`did you mean "http1-small"`:   func(o *Options) { o.Scenarios = []string{"http1-smal"} },
		`did you mean "nginx"`:         func(o *Options) { o.Only = []string{"ngin"} },
		"--peer base=PATH":             func(o *Options) { o.Only = []string{"base-uring"} },
		"there is no peer":             func(o *Options) { o.Peers = map[string]string{"apache": "/x"} },
		"--proxy-core: core 4000 is":   func(o *Options) { o.ProxyCore = 4000 },
		"--load-core: core 4000 is no": func(o *Options) { o.LoadCore = 4000 },
	} {
		o := Options{ProxyCore: -1, LoadCore: -1}
		wrong(&o)
		var usage *UsageError
		if err := o.check(); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for _, text := range []string{"nginx", "nginx=", "=x", "apache=/x"} {
		if _, _, err := SplitPeer(text); err == nil {
			t.Errorf("--peer %s is accepted", text)
		}
	}
	if name, path, err := SplitPeer("base=/a=b"); name != "base" || path != "/a=b" || err != nil {
		t.Errorf("%s, %s, %v", name, path, err)
	}
}

func TestOneCoreIsMarked(t *testing.T) {
	o := Options{ProxyCore: 0, LoadCore: 0}
	b, err := newBench(o)
	if err != nil {
		t.Fatal(err)
	}
	if notes := b.notes(); len(notes) == 0 || !strings.Contains(notes[0], "Only core 0") {
		t.Errorf("notes %q", notes)
	}
	if noise(&o, result.PerRequest, []result.Round{{Cost: 1}}) == "" {
		t.Error("figures of a shared core may be quoted")
	}
}

func TestListed(t *testing.T) {
	names := map[string]bool{}
	for _, s := range List(Options{}) {
		if names[s.Name] || s.Title == "" || s.Load == "" || s.Unit == "" {
			t.Errorf("%+v", s)
		}
		names[s.Name] = true
	}
	for _, name := range strings.Fields("http1-small http1-1024 http1-64k http1-1m upload-1m churn pipeline " +
		"idle-memory fixed-rate routes-1k routes-10k reload-under-load tls-keepalive tls-64k tls-1m tls-handshake " +
		"tls-resume tls-idle tls-flood tcp-bulk tcp-bulk-64 tcp-duplex tcp-pingpong tcp-pingpong-1 tcp-churn " +
		"websocket websocket-idle udp-echo") {
		if !names[name] {
			t.Errorf("there is no scenario %s", name)
		}
	}
	usual, err := choose(nil)
	all, err2 := choose([]string{"all"})
	if err != nil || err2 != nil || len(all) != len(names) || len(usual) >= len(all) {
		t.Errorf("%d usual ones of %d, %v, %v", len(usual), len(all), err, err2)
	}
}

func TestConfigurationsHaveEveryRoute(t *testing.T) {
	for _, k := range kinds() {
		s := exampleSite(250)
		s.change(false)
		s.change(true)
		if s.newest() != "h251.example.com" {
			t.Errorf("newest host %s", s.newest())
		}
		text, err := k.files[0].render(s)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" \t\n;\"`,[]", r) })
		hosts := map[string]int{}
		for _, w := range words {
			if strings.HasSuffix(w, ".example.com") {
				hosts[w]++
			}
		}
		if len(hosts) != 251 || hosts[loadedHost] != 1 || hosts["h2.example.com"] != 1 || hosts[s.newest()] != 1 {
			t.Errorf("%s: %d hosts", k.name, len(hosts))
		}
		s.loaded = 0
		if other, err := k.files[0].render(s); err != nil || bytes.Equal(text, other) {
			t.Errorf("%s: the loaded route's service makes no difference: %v", k.name, err)
		}
		shown, err := k.text(s)
		whole := strings.Contains(shown, "$ "+k.program+" ") && strings.Contains(shown, "2 of 250 unrelated")
		if err != nil || !whole {
			t.Errorf("%v:\n%s", err, shown)
		}
	}
}

// Traefik cannot check a file without running it.
func TestTraefikFile(t *testing.T) {
	const want = "http:\n  services:\n" +
		"    a: {loadBalancer: {servers: [{url: \"http://127.0.0.1:18081\"}]}}\n" +
		"    b: {loadBalancer: {servers: [{url: \"http://127.0.0.1:18082\"}]}}\n" +
		"  routers:\n" +
		"    r0: {rule: \"Host(`h0.example.com`)\", service: a}\n" +
		"    loaded: {rule: \"Host(`loaded.example.com`)\", service: a}\n"
	got, err := kindOf(t, "traefik").files[0].render(exampleSite(1))
	if err != nil || string(got) != want {
		t.Errorf("%v, found\n%s\nwant\n%s", err, got, want)
	}
}

// It says of connections and datagrams other things than of requests.
func TestTraefikStreams(t *testing.T) {
	for wire, want := range map[load.Wire]string{
		load.Echo: "tcp:\n  serversTransports:\n    halves: {terminationDelay: 600s}\n  services:\n" +
			"    echo: {loadBalancer: {serversTransport: halves, servers: [{address: \"127.0.0.1:18083\"}]}}\n" +
			"  routers:\n    loaded: {rule: \"HostSNI(`*`)\", service: echo, entryPoints: [web]}\n",
		load.Datagrams: "udp:\n  services:\n" +
			"    mirror: {loadBalancer: {servers: [{address: \"127.0.0.1:18085\"}]}}\n" +
			"  routers:\n    loaded: {service: mirror, entryPoints: [web]}\n",
	} {
		s, k := exampleWire(0, wire), kindOf(t, "traefik")
		got, err := k.files[0].render(s)
		if err != nil || string(got) != want {
			t.Errorf("%v, found\n%s\nwant\n%s", err, got, want)
		}
		if udp := strings.HasSuffix(k.args(s)[0], ":18080/udp"); udp != s.UDP() {
			t.Errorf("%s: %s", wire, k.args(s)[0])
		}
	}
}

// The module of nginx is built in, a file, or not there.
func TestNginxStreamModule(t *testing.T) {
	dir := t.TempDir()
	program, module := filepath.Join(dir, "nginx"), filepath.Join(dir, "ngx_stream_module.so")
	says := func(flags string) {
		script := "#!/bin/sh\necho configure arguments: --prefix=/nowhere " + flags + " >&2\n"
		if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	says("--with-stream --with-stream_ssl_module")
	if path, err := nginxStream(program); path != "" || err != nil {
		t.Errorf("%q, %v", path, err)
	}
	for _, flags := range []string{"--with-stream=dynamic --modules-path=" + dir, "--with-stream_ssl_module"} {
		says(flags)
		if _, err := nginxStream(program); err == nil {
			t.Errorf("%s: no error", flags)
		}
	}
	if err := os.WriteFile(module, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	says("--with-stream=dynamic --modules-path=" + dir)
	if path, err := nginxStream(program); path != module || err != nil {
		t.Errorf("%q, %v", path, err)
	}
}

func TestNoise(t *testing.T) {
	o := Options{ProxyCore: 0, LoadCore: 1}
	calm := func() []result.Round {
		return []result.Round{{Cost: 10, P99: 1}, {Cost: 11, P99: 1}, {Cost: 10, P99: 1}, {Cost: 12, P99: 1}}
	}
	if why := noise(&o, result.PerRequest, calm()); why != "" {
		t.Errorf("noisy: %s", why)
	}
	for want, disturb := range map[string]func(r []result.Round){
		"of the proxy's core in 2 rounds": func(r []result.Round) { r[0].Foreign, r[3].Foreign = 0.06, 1 },
		"of the load generator's core in 4 rounds": func(r []result.Round) {
			for i := range r {
				r[i].LoadForeign = 0.3
			}
		},
		"the rounds disagree: 12 to 20": func(r []result.Round) { r[1].Cost, r[2].Cost = 20, 20 },
		"the load generator's own delay in 4 rounds": func(r []result.Round) {
			for i := range r {
				r[i].Lag99 = 0.7
			}
		},
	} {
		rounds := calm()
		disturb(rounds)
		unit := result.PerRequest
		if strings.Contains(want, "delay") {
			unit = result.P99
		}
		if why := noise(&o, unit, rounds); !strings.Contains(why, want) {
			t.Errorf("noise %q, want %q", why, want)
		}
	}
	rounds := calm()
	for i := range rounds { // a phase before, of which the cost is a ratio
		rounds[i].P99Before, rounds[i].Lag99Before = 0.5, 0.4
	}
	if why := noise(&o, result.P99Ratio, rounds); !strings.Contains(why, "delay in 4 rounds") {
		t.Errorf("noise %q of the phase before", why)
	}
	o.siblings = true
	if why := noise(&o, result.PerRequest, calm()); !strings.Contains(why, "two threads of one") {
		t.Errorf("noise %q of threads of the same core", why)
	}
	o.siblings = false
	rounds = calm()
	rounds[0].Foreign, rounds[1].Foreign = 1, 1
	if why := noise(&o, result.PerConnection, rounds); why != "" {
		t.Errorf("memory is noisy: %s", why)
	}
	rounds = calm()
	rounds[2].Foreign = 0.9
	if why := noise(&o, result.PerRequest, rounds); why != "" {
		t.Errorf("a single disturbed round of four is too much: %s", why)
	}
}

func TestReloadsAddUp(t *testing.T) {
	of := func(cpu, p99 float64) *measured {
		return &measured{load: &load.Result{Dropped: 1}, round: result.Round{CPU: cpu, P99: p99, Memory: cpu}}
	}
	var r reloads
	first := of(1, 5)
	first.load.Errors = load.Errors{Lost: 2, Connect: 1, Status: 4}
	r.add(&changes{written: 2, live: 1, liveAfter: 7 * time.Millisecond}, first, of(6, 9), time.Second)
	r.add(&changes{written: 1, repeated: 1}, of(1, 3), of(1, 9), 0)
	want := []string{
		"p99 without changes 4.00 ms", "3 changes: 1 live before the next, after 7.0 ms; 2000.00 ms of CPU time each",
		"4 streams dropped, 3 requests lost, 0 connections closed, 6 MiB at the most",
		"the last change of a phase had to be asked for again 1 time",
	}
	if got := r.words(); !reflect.DeepEqual(got, want) {
		t.Errorf("words %q, want %q", got, want)
	}
	if got, want := *r.figures(), (result.Changes{Written: 3, Live: 1, Dropped: 4, Lost: 3}); got != want {
		t.Errorf("figures %+v, want %+v", got, want)
	}
}

func TestApplyTellsTheProcess(t *testing.T) {
	g, err := peer.NewGroup("bench-test")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	p, err := g.Start(0, exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	s := exampleSite(1)
	s.Dir = t.TempDir()
	k := *kindOf(t, "haproxy")
	k.signal = 0
	if err := k.apply(s, p); err != nil {
		t.Error(err)
	}
	k.signal = syscall.SIGUSR2 // which ends sleep
	if err := k.apply(s, p); err != nil {
		t.Error(err)
	}
	<-p.Ended
	if err := k.apply(s, p); err == nil {
		t.Error("a process that has ended was told of a change")
	}
}

func TestHelperArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"load"}, {"upstream", "x"}, {"load", "{"}} {
		if err := Help(args, strings.NewReader(""), new(bytes.Buffer)); err == nil {
			t.Errorf("helper %q: no error", args)
		}
	}
}

// A ratio is judged by its two sets of rounds and by itself, and a cell by its own rounds.
func TestUnclear(t *testing.T) {
	o := Options{ProxyCore: 0, LoadCore: 1}
	of := func(costs ...float64) (rounds []result.Round) {
		for _, c := range costs {
			rounds = append(rounds, result.Round{Cost: c, P99: 1})
		}
		return rounds
	}
	disturbed := of(10, 10, 10)
	disturbed[0].Foreign = 1
	for _, c := range []struct {
		unit result.Unit
		a, b []result.Round
		want string
	}{
		{result.PerRequest, of(10, 11, 12), of(20, 22, 24), ""},
		{result.PerRequest, of(10, 11, 12), of(24, 22, 20), "the ratios of the rounds disagree: 0.417 to 0.6"},
		{result.P99, of(10, 11, 12), of(24, 22, 20), ""},
		{result.P99, of(10, 15, 20), of(20, 15, 8), "the ratios of the rounds disagree: 0.5 to 2.5"},
		{result.PerRequest, of(10, 20, 40), of(20, 40, 80), "a: the rounds disagree"},
		{result.PerRequest, of(10, 10, 10), disturbed, "b: others used more than 5 % of the proxy's core"},
		{result.PerConnection, of(10, 10, 10), disturbed, ""},
	} {
		why := unclear(&o, c.unit, side{"a", c.a}, side{"b", c.b})
		if !strings.HasPrefix(why, c.want) || why != "" && c.want == "" {
			t.Errorf("%v to %v in %s: %q, want %q", c.a, c.b, c.unit, why, c.want)
		}
	}
}

// What went wrong at the rate of another proxy counts, but does not make the cell noisy.
func TestCellOfAFixedRate(t *testing.T) {
	quiet := result.Round{Requests: 100, Seconds: 1, Cost: 2, P99: 2}
	failing := quiet
	failing.Errors, failing.Samples, failing.Foreign = 3, []string{"status 500"}, 1
	full := quiet
	full.LoadBusy, full.Errors = 0.96, 1
	ours := &target{
		kind: kindOf(t, "uringproxy-epoll"), site: exampleSite(0), rate: 70, maximum: 100,
		rounds: []result.Round{quiet}, found: []result.Round{full}, at: map[string][]result.Round{"nginx": {failing}},
	}
	nginx := &target{kind: kindOf(t, "nginx"), site: exampleSite(0), rate: 50, rounds: []result.Round{quiet}}
	b := &bench{o: Options{ProxyCore: 0, LoadCore: 1}, targets: []*target{ours, nginx}}
	s, err := b.conclude(fixedRate())
	if err != nil {
		t.Fatal(err)
	}
	c := s.Cells[0]
	if c.Errors != 4 || c.Noisy != "" || c.Ratios["nginx"].Median != 1 {
		t.Errorf("%d errors, noisy %q, ratios %+v", c.Errors, c.Noisy, c.Ratios)
	}
	if why := c.Unclear["nginx"]; !strings.HasPrefix(why, "uringproxy-epoll at the rate of nginx: others used") {
		t.Errorf("unclear: %q", c.Unclear)
	}
	for _, want := range []string{
		"100 requests a second at most", "core was full", "3 errors at the rate of nginx: status 500",
		"1 error while its maximum was looked for",
	} {
		if !strings.Contains(strings.Join(c.Notes, "\n"), want) {
			t.Errorf("no note %q in %q", want, c.Notes)
		}
	}
}

func TestRemarks(t *testing.T) {
	b := &bench{o: Options{ProxyCore: 0, LoadCore: 1}}
	rounds := []result.Round{{Requests: 100, UpstreamConnections: 11, LoadBusy: 0.99}}
	said := strings.Join(b.remarks(&profile{}, &target{rounds: rounds, forwards: "differs"}), "\n")
	for _, want := range []string{
		"differs", "11 connections to the upstream were opened for 100 requests", "core was full",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no remark %q in %q", want, said)
		}
	}
	if said := b.remarks(&profile{renewing: true}, &target{rounds: rounds}); len(said) != 1 {
		t.Errorf("remarks %q", said)
	}
	rounds[0].UpstreamConnections, rounds[0].LoadBusy = 10, 0.9
	if said := b.remarks(&profile{}, &target{rounds: rounds}); len(said) != 0 {
		t.Errorf("remarks %q", said)
	}
}

func TestTogether(t *testing.T) {
	one, two := []string{"a"}, []string{"b"}
	got := together(
		&result.Round{P99: 1, Lag99: 0.5, Foreign: 0.1, LoadForeign: 0.4, Errors: 1, Samples: one, Requests: 7},
		&result.Round{P99: 2, Lag99: 0.6, Foreign: 0.2, LoadForeign: 0.3, Errors: 2, Samples: two, Requests: 8})
	want := result.Round{P99: 2, Lag99: 0.6, Foreign: 0.2, LoadForeign: 0.4, Errors: 3, Samples: []string{"a", "b"},
		Requests: 8, P99Before: 1, Lag99Before: 0.5}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCoresApart(t *testing.T) {
	none := func(int) []int { return nil }
	pairs := func(core int) []int { return []int{core &^ 1, core | 1} } // 0 and 1, 2 and 3
	for _, c := range []struct {
		other    int
		cores    []int
		siblings func(int) []int
		want     int
	}{
		{-1, []int{0, 1}, none, 0}, {0, []int{0, 1}, none, 1}, {1, []int{0, 1}, none, 0}, {0, []int{0}, none, 0},
		{0, []int{0, 1, 2, 3}, pairs, 2}, {2, []int{0, 1, 2, 3}, pairs, 0}, {0, []int{0, 1}, pairs, 1},
		{3, []int{2, 3}, pairs, 2}, {1, []int{0, 1, 2}, pairs, 2},
	} {
		if got := apartFrom(c.other, c.cores, c.siblings); got != c.want {
			t.Errorf("apart from %d of %v: %d, want %d", c.other, c.cores, got, c.want)
		}
	}
	for text, want := range map[string][]int{
		"0\n": {0}, "0,4\n": {0, 4}, "2-3": {2, 3}, "0-1,8-9\n": {0, 1, 8, 9}, "": nil, "x,1": {1},
	} {
		if got := parseCores(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestDiffering(t *testing.T) {
	const port = "X-Forwarded-Port: 1\r\n"
	const all = "host: a\r\nx-forwarded-for: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n" + port
	for lines, want := range map[string]string{
		all:                           "",
		all + "Connection: close\r\n": "",
		all + "via: 1.1 x\r\nX-Request-ID: 7\r\n":     "ours: with Via, X-Request-Id",
		all[:len(all)-len(port)] + "X-Real-Ip: 1\r\n": "ours: without X-Forwarded-Port; with X-Real-Ip",
	} {
		if got := differing(lines); !strings.HasSuffix(got, want) || got != "" && want == "" {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}

// A proxy that does not shake hands has not stood a flood.
func TestTooLittleOfAFlood(t *testing.T) {
	for want, came := range map[string]load.Result{
		"": {Answered: 1499, HalfOpen: floodHalf},
		"only 433 of 500 handshakes a second were made":      {Answered: 1300, HalfOpen: floodHalf},
		"only 1700 of 2000 half-open connections were there": {Answered: 1500, HalfOpen: 1700},
	} {
		var f floods
		came.Elapsed, came.P99 = 3*time.Second, 5*time.Millisecond
		f.add(&measured{round: result.Round{P99: 0.5}}, &came)
		if got := f.doubt(); got != want {
			t.Errorf("doubt %q, want %q", got, want)
		}
		if told := strings.Join(f.words(), "; "); !strings.Contains(told, "p99 without a flood 0.50 ms") ||
			!strings.Contains(told, "p99 5.0 ms") || strings.Contains(told, "failed") {
			t.Errorf("told %q", told)
		}
	}
	var f floods
	f.add(&measured{}, &load.Result{Elapsed: time.Second, Errors: load.Errors{Connect: 2}, Samples: []string{"shed"}})
	if told := strings.Join(f.words(), "; "); !strings.Contains(told, "2 handshakes failed: shed") {
		t.Errorf("told %q", told)
	}
}
