package report

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/histogram"
	"github.com/uringproxy/uringproxy/perf/result"
)

var update = flag.Bool("update", false, "write testdata anew")

// sample is the made-up run of testdata/sample.json. Its figures are of the size that real ones have.
func sample(t testing.TB) *result.Run {
	t.Helper()
	name := filepath.Join("testdata", "sample.json")
	if *update {
		var b bytes.Buffer
		if err := JSON(&b, makeSample(t)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kind is how one peer does in one scenario of the sample.
type kind struct{ cost, rate, p50, tail, memory float64 }

var sampleKinds = []struct {
	name, title, load string
	unit              result.Unit
	peers             []kind // in the order of samplePeers
}{
	{"http1-small", "GET of 100 bytes, keep-alive", "64 connections, closed loop, 7 rounds of 2 s", result.PerRequest,
		[]kind{{9.9, 98400, .61, .9, 24}, {11.4, 86200, .70, 1, 22}, {13.3, 74100, .82, 1.1, 9},
			{17.1, 57800, 1.06, .8, 28}, {82, 11900, 4.8, 1.6, 141}}},
	{"http1-1024", "GET of 100 bytes, keep-alive, many connections", "1,024 connections, closed loop, 7 rounds of 2 s",
		result.PerRequest,
		[]kind{{12.9, 74600, 13.1, .3, 26}, {14.4, 68000, 14.4, .3, 25}, {18, 54700, 18.1, .4, 22},
			{26.7, 37100, 27, .3, 61}, {98, 10100, 99, .7, 214}}},
	{"http1-64k", "GET of 64 KiB", "64 connections, closed loop, 7 rounds of 2 s", result.PerByte,
		[]kind{{.44, 31200, 2, .7, 31}, {.39, 34800, 1.8, .7, 30}, {.74, 19900, 3.1, .6, 14}, {.43, 31900, 2, .6, 29},
			{1.31, 10800, 5.6, .9, 150}}},
	{"churn", "a new connection for every request", "64 connections, closed loop, 7 rounds of 2 s", result.PerRequest,
		[]kind{{37.1, 26200, 2.4, .8, 24}, {36.8, 26400, 2.4, .8, 22}, {33.9, 28300, 2.2, .7, 10},
			{55.2, 17800, 3.5, .8, 28}, {151, 6500, 9.4, 1.2, 160}}},
	{"idle-memory", "what an idle connection keeps", "18,000 connections, one request each", result.PerConnection,
		[]kind{{241, 0, 0, 0, 29}, {214, 0, 0, 0, 27}, {962, 0, 0, 0, 26},
			{1334, 0, 0, 0, 54}, {34510, 0, 0, 0, 735}}},
	{"fixed-rate", "p99 at 70 % of each peer's own maximum",
		"64 connections, open loop, so many due each second, 7 rounds of 4 s", result.P99,
		[]kind{{1.66, 68900, .09, 2.2, 24}, {1.42, 60300, .08, 2.2, 22}, {1.91, 52000, .10, 2.4, 9},
			{6.42, 40400, .21, 2.8, 28}, {0, 0, 0, 0, 0}}},
	{"routes-10k", "the last of 10,000 routes", "64 connections, closed loop, 7 rounds of 2 s", result.PerRequest,
		[]kind{{10.4, 94900, .63, .9, 41}, {11.8, 83600, .72, 1, 38}, {14.7, 66800, .90, 1.1, 31},
			{17.9, 55100, 1.1, .9, 36}, {0, 0, 0, 0, 0}}},
	{"reload-under-load", "ten configuration changes a second", "10,000 routes, 25,000 requests/s due, 3 pairs of 10 s",
		result.P99Ratio, []kind{{1.61, 25000, .10, 2.4, 88}, {1.74, 25000, .10, 2.5, 85}, {21.5, 25000, 5.3, 1.2, 174},
			{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}}},
}

var samplePeers = []result.Peer{
	{Name: "uringproxy-uring", Ours: true, Program: "/usr/bin/uringproxy", Version: "0.4.0"},
	{Name: "uringproxy-epoll", Ours: true, Program: "/usr/bin/uringproxy", Version: "0.4.0"},
	{Name: "nginx", Program: "/usr/sbin/nginx", Version: "nginx/1.31.5"},
	{Name: "haproxy", Program: "/usr/sbin/haproxy", Version: "3.5-dev5"},
	{Name: "traefik", Program: "/usr/local/bin/traefik", Version: "3.7.9"},
}

var sampleConfigs = []string{
	"[listeners.web]\naddress = \"127.0.0.1:8080\"\n\n[routes.all]\nservice = \"files\"\n\n[services.files]\n" +
		"endpoints = [\"http://127.0.0.1:9000\"]\n",
	"",
	"worker_processes 1;\nevents { worker_connections 16384; }\nhttp {\n    access_log off;\n    upstream files {\n" +
		"        server 127.0.0.1:9000;\n        keepalive 1024;\n    }\n    server {\n" +
		"        listen 127.0.0.1:8080 backlog=4096;\n        location / {\n            proxy_pass http://files;\n" +
		"            proxy_set_header X-Forwarded-For $remote_addr;\n        }\n    }\n}\n",
	"global\n    nbthread 1\ndefaults\n    mode http\nfrontend web\n    bind 127.0.0.1:8080\n    option forwardfor\n" +
		"    default_backend files\nbackend files\n    server one 127.0.0.1:9000\n",
	"entryPoints:\n  web:\n    address: 127.0.0.1:8080\n",
}

func makeSample(t testing.TB) *result.Run {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	r := &result.Run{
		Command: "uringproxy bench --rounds 7 --seconds 2 --html result.html", Version: "0.4.0", Seconds: 2471,
		Started: time.Date(2026, 11, 22, 3, 10, 0, 0, time.UTC), Peers: samplePeers,
		Machine: result.Machine{Kernel: "6.18.44", Processor: "Intel Xeon Processor", Cores: 2, Memory: 8 << 30,
			Virtual: "KVM", Go: "go1.26.8", ProxyCore: 0, LoadCore: 1},
		Notes: []string{"The load generator and the upstream share core 1: there are two cores."},
	}
	for _, k := range sampleKinds {
		s := result.Scenario{Name: k.name, Title: k.title, Load: k.load, Unit: k.unit}
		for i, p := range k.peers {
			s.Cells = append(s.Cells, sampleCell(t, rng, &s, i, p))
		}
		compareSample(&s)
		r.Scenarios = append(r.Scenarios, s)
	}
	r.Scenarios[5].Cells[2].Notes = []string{"at most 74,300 requests/s, found in 5 steps"}
	churn := r.Scenarios[3].Cells
	churn[3].Noisy = "others used 9 % of its core in 3 of 7 rounds"
	churn[2].Errors, churn[2].Rounds[4].Errors = 12, 12
	churn[2].Rounds[4].Samples = []string{"connection reset by peer before the answer"}
	return r
}

// compareSample fills in what ours have beside the others.
func compareSample(s *result.Scenario) {
	for i := range s.Cells {
		own := &s.Cells[i]
		if own.Ratios, own.At = map[string]result.Spread{}, nil; !samplePeers[i].Ours {
			continue
		}
		for _, c := range s.Cells {
			rounds := slices.Clone(own.Rounds)
			for j := range rounds {
				if s.Unit == result.P99 {
					rounds[j].Cost *= min(1, .9*float64(c.Rate)/float64(own.Rate))
				}
			}
			x := result.Ratios(rounds, c.Rounds)
			if c.Peer == own.Peer || !x.Known() {
				continue
			}
			own.Ratios[c.Peer] = x
			if s.Unit == result.P99 {
				if own.At == nil {
					own.At = map[string]result.Spread{}
				}
				own.At[c.Peer] = spreadOfCosts(rounds)
			}
		}
	}
}

func spreadOfCosts(rounds []result.Round) result.Spread {
	var all []float64
	for _, r := range rounds {
		all = append(all, r.Cost)
	}
	return result.SpreadOf(all)
}

func sampleCell(t testing.TB, rng *rand.Rand, s *result.Scenario, peer int, k kind) result.Cell {
	t.Helper()
	c := result.Cell{Peer: samplePeers[peer].Name, Config: sampleConfigs[peer]}
	switch {
	case k.cost == 0 && s.Name == "routes-10k":
		c.Problem = "answered with errors: 404 instead of 200 for the last route, in 5,120 of 5,120 requests"
		return c
	case k.cost == 0:
		c.Problem = "could not keep up with the rate"
		return c
	}
	h := histogram.New()
	wobble := func(x float64) float64 { return x * (1 + .04*(rng.Float64()-.5)) }
	for range 7 {
		one := histogram.New()
		for range 3000 * int(min(k.rate, 1)) {
			grow := rng.NormFloat64()
			if grow > 1.5 {
				grow *= 1 + k.tail*.25
			}
			one.Record(time.Duration(k.p50 * 1e6 * math.Exp(.35*k.tail*grow)))
		}
		if err := h.Add(one); err != nil {
			t.Fatal(err)
		}
		ms := func(q float64) float64 { return float64(one.Quantile(q)) / 1e6 }
		round := result.Round{Requests: int(2 * wobble(k.rate)), Seconds: 2, Cost: wobble(k.cost),
			Memory: wobble(k.memory), P50: ms(.5), P99: ms(.99), P999: ms(.999), Max: ms(1),
			Foreign: .01 * rng.Float64(), LoadBusy: .93}
		round.CPU = min(1.98, float64(round.Requests)*round.Cost/1e6)
		if s.Unit == result.PerByte {
			round.Bytes = int64(round.Requests) << 16
		}
		c.Rounds = append(c.Rounds, round)
	}
	of := func(f func(result.Round) float64) result.Spread {
		var all []float64
		for _, round := range c.Rounds {
			all = append(all, f(round))
		}
		return result.SpreadOf(all)
	}
	c.Cost = of(func(r result.Round) float64 { return r.Cost })
	c.Memory = of(func(r result.Round) float64 { return r.Memory })
	if k.rate == 0 {
		return c
	}
	if strings.Contains(s.Load, "due") {
		c.Rate = int(k.rate)
	}
	c.Throughput = of(func(r result.Round) float64 { return float64(r.Requests) / r.Seconds })
	c.BytesRate = of(func(r result.Round) float64 { return float64(r.Bytes) / r.Seconds })
	c.P50 = of(func(r result.Round) float64 { return r.P50 })
	c.P99 = of(func(r result.Round) float64 { return r.P99 })
	c.P999 = of(func(r result.Round) float64 { return r.P999 })
	c.Max = of(func(r result.Round) float64 { return r.Max })
	c.Histogram = h.Encode()
	return c
}
