package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/perf/result"
)

// roundsOf are rounds with these costs.
func roundsOf(costs ...float64) (all []result.Round) {
	for _, c := range costs {
		all = append(all, result.Round{Cost: c})
	}
	return all
}

// A miss is one when the middle half of the rounds is beyond the limit as well, whichever row it is.
func TestMissIsClear(t *testing.T) {
	with := func(scenario, other string, ours, others []result.Round) func(r *result.Run) {
		return func(r *result.Run) {
			a, b := cellOf(r, scenario, uring), cellOf(r, scenario, other)
			a.Rounds, b.Rounds, a.Ratios[other] = ours, others, result.Ratios(ours, others)
		}
	}
	ones := roundsOf(1, 1, 1, 1, 1)
	apart := roundsOf(0.8, 0.9, 1.04, 1.05, 1.06) // the middle half is 0.9 to 1.05
	beyond := roundsOf(0.8, 1.04, 1.05, 1.06, 1.2)
	wide := result.Spread{Median: 1.2, Low: 0.9, High: 1.3, Count: 5}
	for _, tc := range []struct {
		name   string
		change func(r *result.Run)
		key    string
		want   verdict
	}{
		{"before, apart", with(small, baseUring, apart, ones), "13 http1-small / base-uring", noisy},
		{"before, beyond", with(small, baseUring, beyond, ones), "13 http1-small / base-uring", fell},
		{"engines, apart", with(large, epoll, apart, ones), "12 http1-1m / uringproxy-epoll", noisy},
		{"engines, beyond", with(large, epoll, beyond, ones), "12 http1-1m / uringproxy-epoll", fell},
		{"peer, apart", with(crowd, "nginx", roundsOf(0.6, 0.69, 0.71, 0.72, 0.73), ones), "2 http1-1024 / nginx",
			noisy},
		{"peer, beyond", with(crowd, "nginx", apart, ones), "2 http1-1024 / nginx", fell},
		{"peer, within", with(crowd, "nginx", roundsOf(0.5, 0.6, 0.7, 0.9, 0.9), ones), "2 http1-1024 / nginx",
			passed},
		{"changes, apart", func(r *result.Run) {
			c := cellOf(r, reload, uring)
			c.Rounds, c.Cost = roundsOf(0.9, 1, 1.2, 1.2, 1.3), wide
		}, "10 reload-under-load", noisy},
		{"changes, beyond", func(r *result.Run) {
			c := cellOf(r, reload, uring)
			c.Rounds, c.Cost = roundsOf(0.9, 1.2, 1.2, 1.2, 1.3), wide
		}, "10 reload-under-load", fell},
		{"at another's rate, where these are not the rounds", func(r *result.Run) {
			with(fixedRate, "nginx", beyond, ones)(r)
			c := cellOf(r, fixedRate, uring)
			c.At = map[string]result.Spread{"nginx": exactly(1)}
			c.Ratios["nginx"] = result.Spread{Median: 0.95, Low: 0.85, High: 0.97, Count: 5}
		}, "3 fixed-rate / nginx", noisy},
	} {
		r := good()
		tc.change(r)
		if got := verdicts(judge([]*result.Run{r}, nil))[tc.key]; got != tc.want {
			t.Errorf("%s: %s is %s, expected %s", tc.name, tc.key, got, tc.want)
		}
	}
}

// A scenario that may be at 0.90 of epoll or not keeps it open whether two of them are.
func TestTwoScenariosMayBeBetter(t *testing.T) {
	r := good()
	for _, s := range engineScenarios[1:] {
		cellOf(r, s, uring).Ratios[epoll] = exactly(0.95)
	}
	const key = "12 2 scenarios of these / uringproxy-epoll"
	if got := verdicts(judge([]*result.Run{r}, nil))[key]; got != fell {
		t.Errorf("one of four: %s", got)
	}
	cellOf(r, large, uring).Ratios[epoll] = result.Spread{Median: 0.91, Low: 0.89, High: 0.92, Count: 5}
	if got := verdicts(judge([]*result.Run{r}, nil))[key]; got != unmeasured {
		t.Errorf("one of four, and perhaps another: %s", got)
	}
}

// What is said of a ratio counts, and not what is said of the cells.
func TestUnclearIsOfTheRatio(t *testing.T) {
	r := good()
	c := cellOf(r, fixedRate, uring)
	c.Noisy, c.Unclear = "others were here", map[string]string{"nginx": "the rounds disagree"}
	cellOf(r, fixedRate, "haproxy").Noisy = "others were here"
	all := verdicts(judge([]*result.Run{r}, nil))
	for key, want := range map[string]verdict{
		"3 fixed-rate / nginx": noisy, "3 fixed-rate / haproxy": passed, "3 fixed-rate / traefik": passed,
	} {
		if all[key] != want {
			t.Errorf("%s is %s, expected %s", key, all[key], want)
		}
	}
}

// noise makes all cells noisy, but those of memory, which never are.
func noise(r *result.Run) *result.Run {
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Cells {
			if !slices.Contains(memoryScenarios, r.Scenarios[i].Name) {
				r.Scenarios[i].Cells[j].Noisy = "others were here"
			}
		}
	}
	return r
}

// Rows that pass on any machine do not show that the benchmark has measured anything; a miss of theirs is one.
func TestPassesThatShowNothing(t *testing.T) {
	worse := func(name string) *result.Run {
		r := noise(good())
		cellOf(r, name, uring).Errors = 1
		return r
	}
	dear := noise(good())
	cellOf(dear, idle, uring).Ratios["nginx"] = exactly(1.2)
	memory := &result.Run{}
	for _, s := range good().Scenarios {
		if slices.Contains(memoryScenarios, s.Name) {
			memory.Scenarios = append(memory.Scenarios, s)
		}
	}
	slow := goodMatches()
	slow[0].p99 = 2000
	for _, tc := range []struct {
		name    string
		run     *result.Run
		matches []match
		want    string // empty: passed
	}{
		{"nothing", &result.Run{}, goodMatches(), errNothing.Error()},
		{"noise", noise(good()), goodMatches(), errNothing.Error()},
		{"memory alone", memory, goodMatches(), ""},
		{"noise and errors", worse(churn), goodMatches(), "fell short in rows 5, 13"},
		{"noise and errors on one engine", worse(reload), goodMatches(), "fell short in rows 10"},
		{"noise and too much memory", dear, goodMatches(), "fell short in rows 9"},
		{"noise and slow matches", noise(good()), slow, "fell short in rows 11"},
	} {
		err := show(&bytes.Buffer{}, judge([]*result.Run{tc.run}, tc.matches), false)
		if err == nil && tc.want != "" || err != nil && err.Error() != tc.want {
			t.Errorf("%s: %v, expected %q", tc.name, err, tc.want)
		}
	}
	all := judge([]*result.Run{noise(good())}, goodMatches())
	if err := show(&bytes.Buffer{}, all, true); !errors.Is(err, errNothing) {
		t.Errorf("noise, strictly: %v", err)
	}
}

// Strictly, what was not measured closes the gate, but for what cannot be yet.
func TestStrict(t *testing.T) {
	r := good()
	cellOf(r, small, "traefik").Problem = "not found on PATH"
	var out bytes.Buffer
	all := judge([]*result.Run{r}, goodMatches())
	err := show(&out, all, true)
	if err == nil || err.Error() != "not measured in rows 1" ||
		!strings.Contains(out.String(), "row 1 (http1-small / traefik): traefik: not found on PATH") {
		t.Errorf("%v\n%s", err, &out)
	}
	if err := show(&out, all, false); err != nil {
		t.Error(err)
	}
}
