// Command compare measures what a request costs: the CPU time that uringproxy, nginx and HAProxy spend on it, side by
// side.
//
//	go run ./perf/compare                          a small response, 64 connections
//	go run ./perf/compare -conns 1024
//	go run ./perf/compare -path 1m -conns 16
//	go run ./perf/compare -idle 18000              with so many idle connections beside
//
// Each proxy runs on one core, with one worker, keep-alive to the upstream and the same forwarding fields; the load
// generator (wrk) and the upstream (nginx) share another core. The proxies take turns, round by round, and what counts
// is the ratio to nginx within a round: on a shared machine a figure alone means little. CPU time is user and system
// time of all threads of the proxy's processes, as the scheduler accounts it.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/uringproxy/uringproxy/perf/peer"
)

type options struct {
	binary  string
	nginx   string
	haproxy string
	path    string
	conns   int
	rounds  int
	idle    int
	length  time.Duration
	proxies int // core of the proxies
	load    int // core of load generator and upstream
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "", "uringproxy to measure; built from this source when empty")
	flag.StringVar(&o.nginx, "nginx", "nginx", "nginx to compare with; the upstream is the one on PATH")
	flag.StringVar(&o.haproxy, "haproxy", "haproxy", "HAProxy to compare with")
	flag.StringVar(&o.path, "path", "small", "what to fetch: small (100 B), 64k or 1m")
	flag.IntVar(&o.conns, "conns", 64, "connections that wrk keeps busy")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the median counts")
	flag.IntVar(&o.idle, "idle", 0, "idle connections to uringproxy, which is then compared with itself without them")
	flag.DurationVar(&o.length, "length", 2*time.Second, "length of one run")
	flag.IntVar(&o.proxies, "proxy-core", 0, "core of the proxies")
	flag.IntVar(&o.load, "load-core", 1, "core of wrk and the upstream")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	bench, err := newBench(o)
	if err != nil {
		return err
	}
	defer bench.stop()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		bench.stop()
		os.Exit(1)
	}()
	targets, err := bench.start()
	if err != nil {
		return err
	}
	for range o.rounds {
		for _, t := range targets {
			if err := t.round(o); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	report(o, targets)
	return nil
}

// report prints medians, and the median over the rounds of the ratio to the first target.
func report(o *options, targets []*target) {
	fmt.Printf("%s, %s\n", peer.Version(o.nginx, "-v"), peer.Version(o.haproxy, "-v"))
	fmt.Printf("%s, %d connections, %d rounds of %s\n", o.path, o.conns, o.rounds, o.length)
	fmt.Printf("%-16s %12s %10s %10s %10s %s\n", "", "CPU µs/req", "ratio", "req/s", "p99 ms", "errors")
	for _, t := range targets {
		ratios := make([]float64, len(t.cost))
		for i := range ratios {
			ratios[i] = t.cost[i] / targets[0].cost[i]
		}
		fmt.Printf("%-16s %12.2f %10.2f %10.0f %10.2f %d\n",
			t.name, peer.Median(t.cost), peer.Median(ratios), peer.Median(t.rate), peer.Median(t.p99), t.errors)
	}
}
