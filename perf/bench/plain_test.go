package bench

import (
	"bytes"
	"errors"
	"os/exec"
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
		"idle-memory fixed-rate routes-1k routes-10k reload-under-load") {
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
	r.add(&changes{written: 2, live: 1, liveAfter: 7 * time.Millisecond}, of(1, 5), of(6, 9), time.Second)
	r.add(&changes{written: 1, repeated: 1}, of(1, 3), of(1, 9), 0)
	want := []string{
		"p99 without changes 4.00 ms", "3 changes: 1 live before the next, after 7.0 ms; 2000.00 ms of CPU time each",
		"4 streams dropped, 0 connections closed, 6 MiB at the most",
		"the last change of a phase had to be asked for again 1 time",
	}
	if got := r.words(); !reflect.DeepEqual(got, want) {
		t.Errorf("words %q, want %q", got, want)
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

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 18_000: "18,000", 1_002_003: "1,002,003"} {
		if got := grouped(n); got != want {
			t.Errorf("%d as %s", n, got)
		}
	}
}
