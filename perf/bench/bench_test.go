package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

// program is uringproxy, built once.
var program string

// TestMain lets the test binary be the helpers that a benchmark starts of itself, and a proxy that fails as told.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "bench" && os.Args[2] == HelperArgument {
		if err := Help(os.Args[3:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if how := os.Getenv("FAILING_PROXY"); how != "" {
		failAs(how, os.Args[len(os.Args)-1])
		return
	}
	dir, err := os.MkdirTemp("", "bench-test")
	if err == nil {
		program = filepath.Join(dir, oursProgram)
		build := exec.Command("go", "build", "-o", program, "github.com/uringproxy/uringproxy/cmd/uringproxy")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// failAs is a proxy with a configuration of nginx that fails.
func failAs(how, config string) {
	text, err := os.ReadFile(config)
	if err != nil {
		panic(err)
	}
	address := regexp.MustCompile(`listen (\S+:\d+)`).FindStringSubmatch(string(text))[1]
	if how == "config" {
		fmt.Fprintln(os.Stderr, "unknown directive in", filepath.Base(config))
		os.Exit(3)
	}
	asked := 0
	panic(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked > 1 && how == "crash" { // the first one asks whether it is ready
			fmt.Fprintln(os.Stderr, "out of luck")
			os.Exit(4)
		}
		if asked > 1 || how == "never" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprintf(w, "%s", load.Body(serviceNames[0]))
	})))
}

// failing is the path of a proxy that fails in a way.
func failing(t *testing.T, how string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "failing")
	script := fmt.Sprintf("#!/bin/sh\nFAILING_PROXY=%s exec %s \"$@\"\n", how, self)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// tiny are options for rounds that only show that everything works. The program that is measured is not the one that
// helps.
func tiny(scenarios ...string) Options {
	return Options{
		Peers: map[string]string{oursProgram: program}, Only: []string{"uringproxy-epoll"}, Scenarios: scenarios,
		Rounds: 1, Length: 100 * time.Millisecond, Conns: 4, ProxyCore: 0, LoadCore: runtime.NumCPU() - 1,
	}
}

func measureTiny(t *testing.T, o Options) *result.Run {
	t.Helper()
	run, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// cellOf is what a proxy did in a scenario.
func cellOf(t *testing.T, run *result.Run, scenario, proxy string) *result.Cell {
	t.Helper()
	for _, s := range run.Scenarios {
		for i := range s.Cells {
			if s.Name == scenario && s.Cells[i].Peer == proxy {
				return &s.Cells[i]
			}
		}
	}
	t.Fatalf("%s in %s: no cell in %+v", proxy, scenario, run)
	return nil
}

// installed are the proxies that can be measured here.
func installed() []string {
	names := []string{"uringproxy-uring", "uringproxy-epoll"}
	for _, name := range []string{"nginx", "haproxy"} {
		if _, err := lookPath(name); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// Every scenario, on a small scale, with every proxy that the tests have.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios() {
		a := s.about()
		t.Run(a.name, func(t *testing.T) {
			o := tiny(a.name)
			o.Only, o.trial = installed(), true
			run := measureTiny(t, o)
			if len(run.Peers) != len(o.Only) || len(run.Scenarios) != 1 {
				t.Fatalf("%d peers in %d scenarios", len(run.Peers), len(run.Scenarios))
			}
			for _, name := range o.Only {
				c := cellOf(t, run, a.name, name)
				if c.Problem != "" && strings.HasPrefix(name, "uringproxy") {
					t.Errorf("%s: %s", name, c.Problem)
				}
				if c.Problem != "" {
					continue // a slow machine may be too much for it, and then it is told
				}
				if made := c.Changes; (made != nil) != a.changing || made != nil && made.Written == 0 {
					t.Errorf("%s: changes %+v", name, made)
				}
				r := c.Rounds[0]
				if len(c.Rounds) != 1 || r.Requests == 0 || c.Config == "" || c.Memory.Median <= 0 {
					t.Errorf("%s: round %+v, config %q", name, c.Rounds, c.Config)
				}
				if r.Errors != 0 && strings.HasPrefix(name, "uringproxy") { // others may lose some while they change
					t.Errorf("%s: errors %q", name, r.Samples)
				}
				if (a.unit == result.PerRequest || a.unit == result.PerByte) && (r.CPU <= 0 || c.Cost.Median <= 0) {
					t.Errorf("%s: no processor time: %+v", name, r)
				}
				others := slices.Contains(o.Only, "nginx") && cellOf(t, run, a.name, "nginx").Problem == ""
				if strings.HasPrefix(name, "uringproxy") && others && a.unit != result.PerConnection &&
					c.Ratios["nginx"].Known() != (a.unit != result.P99Ratio) {
					t.Errorf("%s: ratios %+v", name, c.Ratios)
				}
			}
		})
	}
}

// In every second round the order is the other way round. Requests come to the upstream with the same fields from all
// proxies, over connections that they keep.
func TestRoundsAreFair(t *testing.T) {
	o := tiny("http1-small")
	o.Only, o.Rounds = installed(), 2
	var order []string
	o.Progress = func(s Step) {
		if s.Round > 0 {
			order = append(order, s.Peer)
		}
	}
	run := measureTiny(t, o)
	second := slices.Clone(o.Only)
	slices.Reverse(second)
	if want := slices.Concat(o.Only, second); !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	for _, name := range o.Only {
		c := cellOf(t, run, "http1-small", name)
		for _, note := range c.Notes {
			if strings.Contains(note, "forward") || strings.Contains(note, "upstream") {
				t.Errorf("%s: %s", name, note)
			}
		}
	}
}

// What the proxies say of the configurations themselves, where they have a way to say it.
func TestConfigurationsAreAccepted(t *testing.T) {
	for name, command := range map[string][]string{
		"uringproxy-uring": {program, "check", "--config", "uringproxy.toml"},
		"nginx":            {"nginx", "-e", "stderr", "-t", "-c", "nginx.conf"},
		"haproxy":          {"haproxy", "-c", "-f", "haproxy.cfg"},
	} {
		for what, site := range map[string]func() *site{
			"0":       func() *site { return exampleSite(0) },
			"1001":    func() *site { return exampleSite(1001) },
			"TLS":     func() *site { return exampleTLS(false) },
			"tickets": func() *site { return exampleTLS(true) },
			"upgrade": func() *site { return exampleWire(0, load.WebSocket) },
			"TCP":     func() *site { return exampleWire(0, load.Echo) },
			"bulk":    func() *site { return exampleWire(0, load.Bulk) },
			"UDP":     func() *site { return exampleWire(0, load.Datagrams) },
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				path, err := lookPath(command[0])
				if err != nil {
					t.Skipf("%s is not installed", command[0])
				}
				s, k := site(), kindOf(t, name)
				if s.TLS && !k.speaksTLS(path) {
					t.Skipf("%s was built without TLS", path)
				}
				if why := k.unable(s.Wire, path); why != "" {
					t.Skip(why)
				}
				if k.module != nil {
					s.Module, _ = k.module(path)
				}
				s.Dir = t.TempDir()
				c, err := newCertificate()
				if err == nil {
					err = c.write(s)
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, changing := range []bool{false, true} {
					s.Changing = changing
					if err := k.writeAll(s); err != nil {
						t.Fatal(err)
					}
					last := len(command) - 1
					cmd := exec.Command(path, append(slices.Clone(command[1:last]), s.path(command[last]))...)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
					}
					if s.Wire != load.HTTP {
						break // nothing of it changes
					}
					s.change(true)
				}
			})
		}
	}
}

func exampleSite(routes int) *site {
	return exampleWire(routes, load.HTTP)
}

func exampleWire(routes int, wire load.Wire) *site {
	return &site{
		Dir: "dir", Port: 18080, Connections: 100, Kept: 100, count: routes, Wire: wire,
		Services: servicesFor(wire, exampleServices(18081)),
	}
}

func exampleTLS(tickets bool) *site {
	s := exampleSite(0)
	s.TLS, s.Tickets = true, tickets
	return s
}

func kindOf(t *testing.T, name string) *kind {
	t.Helper()
	for _, k := range kinds() {
		if k.name == name {
			return &k
		}
	}
	t.Fatalf("no kind %s", name)
	return nil
}

// Problems of a proxy are told in its cell, and nobody else's.
func TestProblems(t *testing.T) {
	for how, want := range map[string][]string{
		"config": {"unknown directive in nginx.conf", "exit status 3"},
		"crash":  {"out of luck", "exit status 4"},
		"500":    {"failed", "status 500"},
		"never":  {"answered with 500"},
	} {
		t.Run(how, func(t *testing.T) {
			o := tiny("http1-small")
			o.Only, o.Peers["nginx"] = []string{"uringproxy-epoll", "nginx"}, failing(t, how)
			if how == "never" {
				o.ready = time.Second
			}
			run := measureTiny(t, o)
			c := cellOf(t, run, "http1-small", "nginx")
			for _, text := range want {
				if !strings.Contains(c.Problem, text) {
					t.Errorf("problem %q, want %q", c.Problem, text)
				}
			}
			if ours := cellOf(t, run, "http1-small", "uringproxy-epoll"); how != "never" && ours.Problem != "" {
				t.Errorf("ours: %s", ours.Problem)
			}
		})
	}
}

func TestMissingAndUnable(t *testing.T) {
	o := tiny("http1-small")
	o.Only, o.Peers["nginx"] = []string{"nginx", "traefik"}, filepath.Join(t.TempDir(), "nginx")
	o.Peers["traefik"] = o.Peers["nginx"]
	run := measureTiny(t, o)
	if c := cellOf(t, run, "http1-small", "nginx"); !strings.Contains(c.Problem, "--peer nginx=PATH") {
		t.Errorf("problem %q", c.Problem)
	}
	if Measured(run) {
		t.Error("nothing could be measured, and it is not told")
	}
	o = tiny("reload-under-load")
	o.Only, o.Peers["caddy"] = []string{"caddy"}, program
	run = measureTiny(t, o)
	if c := cellOf(t, run, "reload-under-load", "caddy"); !strings.Contains(c.Problem, "cannot be configured") {
		t.Errorf("problem %q", c.Problem)
	}
	o = tiny("tls-keepalive")
	o.Only, o.Peers["nginx"] = []string{"nginx"}, program
	run = measureTiny(t, o)
	if c := cellOf(t, run, "tls-keepalive", "nginx"); !strings.Contains(c.Problem, "was built without TLS") {
		t.Errorf("problem %q", c.Problem)
	}
	o = tiny("udp-echo")
	o.Only, o.Peers["haproxy"] = []string{"haproxy", "nginx"}, program
	o.Peers["nginx"] = program
	run = measureTiny(t, o)
	if c := cellOf(t, run, "udp-echo", "haproxy"); !strings.Contains(c.Problem, "it does not proxy UDP") {
		t.Errorf("problem %q", c.Problem)
	}
	if c := cellOf(t, run, "udp-echo", "nginx"); !strings.Contains(c.Problem, "built without --with-stream") {
		t.Errorf("problem %q", c.Problem)
	}
	o = tiny("http1-small")
	o.Conns = maxConns
	if descriptorLimit() > maxConns {
		return
	}
	run = measureTiny(t, o)
	if c := cellOf(t, run, "http1-small", "uringproxy-epoll"); !strings.Contains(c.Problem, "ulimit") {
		t.Errorf("problem %q", c.Problem)
	}
}

// A base is another build of ours, and two peers.
func TestBase(t *testing.T) {
	o := tiny("http1-small", "fixed-rate")
	o.Only, o.Peers[baseProgram] = []string{"uringproxy-epoll", "base-epoll"}, program
	run := measureTiny(t, o)
	c := cellOf(t, run, "http1-small", "uringproxy-epoll")
	if c.Ratios["base-epoll"].Median <= 0 {
		t.Errorf("ratios %+v", c.Ratios)
	}
	c = cellOf(t, run, "fixed-rate", "uringproxy-epoll")
	if c.Ratios["base-epoll"].Median <= 0 || c.At["base-epoll"].Median <= 0 || c.Rate == 0 {
		t.Errorf("at %+v, ratios %+v, rate %d", c.At, c.Ratios, c.Rate)
	}
	if run.Peers[1].Ours || !run.Peers[0].Ours || run.Peers[1].Version == "" {
		t.Errorf("peers %+v", run.Peers)
	}
}

func TestConfigurationsAreKept(t *testing.T) {
	o := tiny("routes-1k")
	o.KeepConfigs = t.TempDir()
	run := measureTiny(t, o)
	kept, err := os.ReadFile(filepath.Join(o.KeepConfigs, "routes-1k", "uringproxy-epoll", "uringproxy.toml"))
	if err != nil || bytes.Count(kept, []byte("[routes.")) != 1001 {
		t.Errorf("%d routes, %v", bytes.Count(kept, []byte("[routes.")), err)
	}
	c := cellOf(t, run, "routes-1k", "uringproxy-epoll")
	n := strings.Count(c.Config, "[routes.")
	if n != shownRoutes+1 || !strings.Contains(c.Config, "of 1000 unrelated") {
		t.Errorf("%d routes are shown:\n%s", n, c.Config)
	}
	text, err := ShowConfigs(o)
	if err != nil || !strings.Contains(text, "==== uringproxy-epoll: routes-1k") {
		t.Errorf("%v\n%s", err, text)
	}
}

// An interrupted measurement says so and leaves no process and no folder.
func TestInterrupt(t *testing.T) {
	o := tiny("http1-small")
	o.Length = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	b, err := newBench(o)
	if err != nil {
		t.Fatal(err)
	}
	if b.group, err = peer.NewGroup("bench-test"); err != nil {
		t.Fatal(err)
	}
	if err := b.startUpstream(); err != nil {
		t.Fatal(err)
	}
	b.o.Progress = func(Step) { time.AfterFunc(50*time.Millisecond, cancel) }
	s := closedLoops()[0]
	if _, err := b.scenario(ctx, s); err == nil {
		t.Error("an interrupted scenario has a result")
	}
	b.group.Stop()
	listening := []int{b.targets[0].site.Port}
	for _, s := range b.services {
		listening = append(listening, s.Port)
	}
	for _, port := range listening {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			t.Errorf("somebody still listens on port %d", port)
		}
	}
	if _, err := os.Stat(b.group.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}
