package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
)

// TestMain lets the test binary be the processes that the program starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "load" || os.Args[1] == "upstream") {
		main()
		return
	}
	os.Exit(m.Run())
}

func testSite(t *testing.T, count int) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), count: count}
	for _, p := range []*int{&s.port, &s.ports[0], &s.ports[1]} {
		port, err := peer.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		*p = port
	}
	return s
}

// What the peers say of the configurations themselves, where they have a way to say it.
func TestConfigurationsAreAccepted(t *testing.T) {
	for name, command := range map[string][]string{
		"uringproxy-uring": {"uringproxy", "check", "--config", "uringproxy.toml"},
		"nginx":            {"nginx", "-e", "stderr", "-t", "-c", "nginx.conf"},
		"haproxy":          {"haproxy", "-c", "-f", "haproxy.cfg"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSite(t, 1001)
			program := command[0]
			if program == "uringproxy" {
				var err error
				if program, err = peer.Build(t.TempDir()); err != nil {
					t.Fatal(err)
				}
			} else if _, err := exec.LookPath(program); err != nil {
				t.Skipf("%s is not installed", program)
			}
			for _, k := range kinds(0) {
				if k.name != name {
					continue
				}
				for range 2 {
					if err := k.writeAll(s); err != nil {
						t.Fatal(err)
					}
					last := len(command) - 1
					cmd := exec.Command(program, append(command[1:last:last], s.path(command[last]))...)
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
					}
					s.change(true)
				}
			}
		})
	}
}

func TestConfigurationsHaveEveryRoute(t *testing.T) {
	s := &site{dir: "dir", port: 1, ports: [2]int{2, 3}, count: 250}
	s.change(false)
	s.change(true)
	if s.newest() != "h251.example.com" {
		t.Errorf("newest host %s", s.newest())
	}
	for _, k := range kinds(0) {
		text := string(k.render(s))
		words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n;\"`", r) })
		hosts := map[string]int{}
		for _, w := range words {
			if strings.HasSuffix(w, ".example.com") {
				hosts[w]++
			}
		}
		if len(hosts) != 251 || hosts[loadedHost] != 1 || hosts["h2.example.com"] != 1 || hosts[s.newest()] != 1 {
			t.Errorf("%s: %d hosts", k.name, len(hosts))
		}
		s.service = 0
		if text == string(k.render(s)) {
			t.Errorf("%s: the loaded route's service makes no difference", k.name)
		}
		s.service = 1
	}
}

// Traefik cannot check a file without running it.
func TestTraefikFile(t *testing.T) {
	s := &site{port: 1, ports: [2]int{2, 3}, count: 1}
	const want = "http:\n  services:\n" +
		"    a: {loadBalancer: {servers: [{url: \"http://127.0.0.1:2\"}]}}\n" +
		"    b: {loadBalancer: {servers: [{url: \"http://127.0.0.1:3\"}]}}\n" +
		"  routers:\n" +
		"    loaded: {rule: \"Host(`loaded.example.com`)\", service: a}\n" +
		"    r0: {rule: \"Host(`h0.example.com`)\", service: a}\n"
	if got := string(s.traefik()); got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
}

func TestPeersOnTheCommandLine(t *testing.T) {
	p := programs{}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(new(bytes.Buffer))
	flags.Var(p, "peer", "")
	if err := flags.Parse([]string{"--peer", "nginx=/no/such", "--peer", "haproxy=true"}); err != nil {
		t.Fatal(err)
	}
	if want := (programs{"nginx": "/no/such", "haproxy": "true"}); !reflect.DeepEqual(p, want) {
		t.Errorf("peers %v", p)
	}
	_, err := p.find(&kind{name: "nginx", program: "nginx"})
	if err == nil || !strings.Contains(err.Error(), "--peer") {
		t.Errorf("a missing peer: %v", err)
	}
	path, err := p.find(&kind{name: "haproxy", program: "haproxy"})
	if err != nil || !strings.HasSuffix(path, "/true") {
		t.Errorf("found %q, %v", path, err)
	}
	for _, text := range []string{"nginx", "nginx=", "caddy=/x"} {
		if p.Set(text) == nil {
			t.Errorf("--peer %s is accepted", text)
		}
	}
}

func testOptions() *options {
	return &options{
		peers: programs{}, apply: "hup", seconds: 0.5, pairs: 2, routes: 50, changes: 10, rate: 200, share: 0.6,
		conns: 4, streams: 2, proxyCore: 0, loadCore: runtime.NumCPU() - 1,
	}
}

func TestOptions(t *testing.T) {
	if err := testOptions().check(nil); err != nil {
		t.Error(err)
	}
	if testOptions().check([]string{"x"}) == nil {
		t.Error("an argument is accepted")
	}
	for i, wrong := range []func(o *options){
		func(o *options) { o.apply = "x" }, func(o *options) { o.seconds = 0 }, func(o *options) { o.pairs = 0 },
		func(o *options) { o.changes = -1 }, func(o *options) { o.share = 2 }, func(o *options) { o.port = 65534 },
		func(o *options) { o.only = "nginx,caddy" },
	} {
		o := testOptions()
		wrong(o)
		if o.check(nil) == nil {
			t.Errorf("wrong option %d is accepted", i)
		}
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = choosePorts(l.Addr().(*net.TCPAddr).Port)
	if err == nil || !strings.Contains(err.Error(), "is taken") || !strings.Contains(err.Error(), "--port") {
		t.Errorf("error %v", err)
	}
}

// The whole program, on a small scale: every request is answered as it should be, and every stream goes on.
func TestMeasure(t *testing.T) {
	o := testOptions()
	o.only = "uringproxy-uring,uringproxy-epoll"
	if err := o.check(nil); err != nil {
		t.Fatal(err)
	}
	result, err := measureAll(context.Background(), o)
	if err != nil {
		t.Fatalf("%v: %+v", err, result)
	}
	for _, r := range result.Reports {
		for _, p := range r.Pairs {
			for _, l := range []*load.Result{p.Without, p.With} {
				if l.Requests != 100 || l.Answered != 100 || l.Dropped != 0 {
					t.Errorf("%s: %+v", r.Name, l)
				}
			}
			if p.Changes.Written != 5 || p.Changes.Live > 5 {
				t.Errorf("%s: changes %+v", r.Name, p.Changes)
			}
		}
		if len(r.Pairs) != 2 || r.Pairs[0].Switching || !r.Pairs[1].Switching || r.Memory.Before < 1<<20 {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	var table, text bytes.Buffer
	result.writeTable(&table)
	if n := strings.Count(table.String(), "routes, service"); n != 4 {
		t.Errorf("%d lines about pairs that change the service:\n%s", n, table.String())
	}
	var back run
	if err := errors.Join(result.writeJSON(&text), json.Unmarshal(text.Bytes(), &back)); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(&back, result) {
		t.Errorf("what was written as JSON reads\n%+v", back)
	}
}

// An interrupted measurement says so, with what it has, and leaves no process.
func TestInterrupt(t *testing.T) {
	o := testOptions()
	o.only, o.length = "uringproxy-epoll", time.Hour
	o.peers["uringproxy"] = "sleep" // it will never answer
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	result, err := measureAll(ctx, o)
	if err == nil || len(result.Reports) != 1 || result.Reports[0].Error == "" {
		t.Errorf("%v: %+v", err, result)
	}
}

func TestRatios(t *testing.T) {
	of := func(without, with time.Duration) pair {
		return pair{Without: &load.Result{P99: without}, With: &load.Result{P99: with}}
	}
	pairs := []pair{of(100, 150), of(100, 90), of(200, 220)}
	if got := ratio(pairs); got != "1.10 (0.90–1.50)" {
		t.Errorf("ratio %s", got)
	}
	pairs[0].CPUWith, pairs[1].CPUAfter, pairs[2].CPUWithout = 5*time.Second, 2*time.Second, time.Second
	pairs[0].Changes, pairs[1].Changes = changes{Written: 2, Live: 1, LiveAfter: 7}, changes{Written: 1}
	s := sum(pairs)
	if s.perChange != 2*time.Second || s.changes.LiveAfter != 7 || s.changes.Written != 3 {
		t.Errorf("%+v", s)
	}
}

func TestApplyTellsTheProcess(t *testing.T) {
	g, err := peer.NewGroup("reload-test")
	if err != nil {
		t.Fatal(err)
	}
	defer g.Stop()
	p, err := g.Start(0, exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	s := testSite(t, 1)
	k := kind{file: "f", render: (*site).haproxyMap}
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
	if text, err := os.ReadFile(s.path("f")); err != nil || string(text) != string(s.haproxyMap()) {
		t.Errorf("file %q, %v", text, err)
	}
}
