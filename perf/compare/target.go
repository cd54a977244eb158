package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/uringproxy/uringproxy/perf/peer"
)

// target is one proxy under test and what was measured of it, a figure for each round.
type target struct {
	name string
	pid  int
	url  string

	cost, rate, p99 []float64 // µs of CPU per request, requests per second, ms
	errors          int
}

var (
	requestsRE = regexp.MustCompile(`(\d+) requests in`)
	rateRE     = regexp.MustCompile(`Requests/sec:\s+(\S+)`)
	p99RE      = regexp.MustCompile(`99%\s+([0-9.]+)(us|ms|s)`)
	errorsRE   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)|` +
		`Non-2xx.*: (\d+)`)
)

// round lets wrk load the target once.
func (t *target) round(o *options) error {
	before, err := peer.CPUTime(t.pid)
	if err != nil {
		return err
	}
	out, err := exec.Command("taskset", "-c", strconv.Itoa(o.load), "wrk", "-t1", "-c", strconv.Itoa(o.conns),
		"-d", fmt.Sprintf("%.0fs", o.length.Seconds()), "--latency", t.url).CombinedOutput()
	if err != nil {
		return fmt.Errorf("wrk: %w: %s", err, out)
	}
	after, err := peer.CPUTime(t.pid)
	if err != nil {
		return err
	}
	n := number(requestsRE, out)
	if n == 0 {
		return fmt.Errorf("no request was answered: %s", out)
	}
	t.cost = append(t.cost, float64((after-before).Microseconds())/n)
	t.rate = append(t.rate, number(rateRE, out))
	if m := p99RE.FindSubmatch(out); m != nil {
		unit := map[string]float64{"us": 1e-3, "ms": 1, "s": 1e3}[string(m[2])]
		v, _ := strconv.ParseFloat(string(m[1]), 64)
		t.p99 = append(t.p99, v*unit)
	}
	for _, m := range errorsRE.FindAllSubmatch(out, -1) {
		for _, count := range m[1:] {
			n, _ := strconv.Atoi(string(count))
			t.errors += n
		}
	}
	return nil
}

func number(re *regexp.Regexp, out []byte) float64 {
	m := re.FindSubmatch(out)
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(string(m[1]), 64)
	return v
}
