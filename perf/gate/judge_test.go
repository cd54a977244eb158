package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/perf/result"
)

// exactly is a figure that all rounds agree on.
func exactly(v float64) result.Spread { return result.Spread{Median: v, Low: v, High: v, Count: 3} }

// good is a run in which everything is as it has to be: half of each limit.
func good() *result.Run {
	r := &result.Run{}
	for _, name := range []string{
		small, crowd, page, large, churn, fixedRate, idle, reload, tlsSmall, tlsHandshake, tlsIdle, tlsFlood,
		tcpBulk, tcpBulks, tcpPingPong, tcpMessages,
	} {
		s := result.Scenario{Name: name, Unit: result.PerRequest}
		ours := result.Cell{Peer: uring, Cost: exactly(1), Ratios: map[string]result.Spread{
			epoll: exactly(0.8), baseUring: exactly(1),
		}}
		for _, row := range peerRows {
			for i, peer := range peers {
				if row.scenario == name {
					ours.Ratios[peer] = exactly(row.limits[i] / 2)
				}
			}
		}
		switch name {
		case reload:
			s.Unit, ours.Ratios, ours.Cost = result.P99Ratio, nil, exactly(1.05)
			ours.Changes = &result.Changes{Written: 500, Live: 400}
		case tlsFlood:
			s.Unit, ours.Ratios, ours.Cost = result.P99Ratio, nil, exactly(1.2)
		case fixedRate:
			s.Unit = result.P99
		}
		second := result.Cell{
			Peer: epoll, Ratios: map[string]result.Spread{baseEpoll: exactly(1)}, Changes: ours.Changes,
		}
		s.Cells = append(s.Cells, ours, second)
		for _, other := range append([]string{baseUring, baseEpoll}, peers...) {
			s.Cells = append(s.Cells, result.Cell{Peer: other})
		}
		r.Scenarios = append(r.Scenarios, s)
	}
	return r
}

func goodMatches() (all []match) {
	for _, s := range matchShapes {
		for _, n := range matchSizes {
			all = append(all, match{s, n, 400})
		}
	}
	return all
}

// cellOf is a cell of a run that may be changed.
func cellOf(r *result.Run, scenario, proxy string) *result.Cell {
	for i := range r.Scenarios {
		for j := range r.Scenarios[i].Cells {
			if c := &r.Scenarios[i].Cells[j]; r.Scenarios[i].Name == scenario && c.Peer == proxy {
				return c
			}
		}
	}
	return nil
}

func TestGoodRunPasses(t *testing.T) {
	all := judge([]*result.Run{good()}, goodMatches())
	for _, f := range all {
		if f.verdict != passed {
			t.Errorf("%+v", f)
		}
	}
	var out bytes.Buffer
	err := show(&out, all, true)
	if err != nil || !strings.Contains(out.String(), "0 fell short, 0 too noisy, 0 not measured\n") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// Each case changes one thing in a good run, and tells which findings change and how.
func TestEachOutcome(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(r *result.Run)
		want   map[string]verdict // by "row what"
		says   string             // somewhere in the line of the first
	}{
		{"over the limit", func(r *result.Run) {
			cellOf(r, small, uring).Ratios["nginx"] = result.Spread{Median: 0.76, Low: 0.755, High: 0.8, Count: 5}
		}, map[string]verdict{"1 http1-small / nginx": fell}, "0.760 (0.755 to 0.800)"},
		{"at the limit", func(r *result.Run) { cellOf(r, large, uring).Ratios["haproxy"] = exactly(0.70) }, nil, ""},
		{"ours is noisy", func(r *result.Run) { cellOf(r, idle, uring).Noisy = "others were here" }, map[string]verdict{
			"9 idle-memory / traefik": noisy, "9 idle-memory / nginx": noisy, "9 idle-memory / haproxy": noisy,
			"13 idle-memory / base-uring": noisy,
		}, "others were here"},
		{"the peer is noisy", func(r *result.Run) {
			cellOf(r, churn, "haproxy").Noisy = "the rounds disagree"
			cellOf(r, churn, uring).Ratios["haproxy"] = exactly(2)
		}, map[string]verdict{"5 churn / haproxy": noisy}, "the rounds disagree"},
		{"the peer is missing", func(r *result.Run) {
			cellOf(r, fixedRate, "traefik").Problem = "not found on PATH"
		}, map[string]verdict{"3 fixed-rate / traefik": unmeasured}, "not found on PATH"},
		{"the peer was not asked for", func(r *result.Run) { cellOf(r, crowd, "nginx").Peer = "caddy" },
			map[string]verdict{"2 http1-1024 / nginx": unmeasured}, "nginx did not take part"},
		{"no ratio", func(r *result.Run) { delete(cellOf(r, page, uring).Ratios, "nginx") }, map[string]verdict{
			"4 http1-64k / nginx": unmeasured,
		}, "there is no ratio"},
		{"ours crashed", func(r *result.Run) { cellOf(r, reload, uring).Problem = "ended with signal 11" },
			map[string]verdict{"10 reload-under-load": fell}, "signal 11"},
		{"ours had errors", func(r *result.Run) { cellOf(r, churn, uring).Errors = 3 }, map[string]verdict{
			"5 churn / traefik": fell, "5 churn / nginx": fell, "5 churn / haproxy": fell,
			"13 churn / base-uring": fell,
		}, "3 errors"},
		{"a flood costs latency", func(r *result.Run) { cellOf(r, tlsFlood, uring).Cost = exactly(1.4) },
			map[string]verdict{"14 tls-flood": fell}, "1.400"},
		{"changes cost latency", func(r *result.Run) { cellOf(r, reload, uring).Cost = exactly(1.6) },
			map[string]verdict{"10 reload-under-load": fell}, "1.600"},
		{"slower than epoll once", func(r *result.Run) { cellOf(r, page, uring).Ratios[epoll] = exactly(1.01) },
			map[string]verdict{"12 http1-64k / uringproxy-epoll": fell}, ""},
		{"hardly better than epoll", func(r *result.Run) {
			for _, s := range engineScenarios[1:] {
				cellOf(r, s, uring).Ratios[epoll] = exactly(0.95)
			}
		}, map[string]verdict{"12 2 scenarios of these / uringproxy-epoll": fell}, "1 of 8"},
		{"better than epoll, perhaps", func(r *result.Run) {
			for _, s := range engineScenarios[1:] {
				cellOf(r, s, uring).Ratios[epoll] = exactly(0.95)
			}
			cellOf(r, large, epoll).Noisy = "noise"
		}, map[string]verdict{
			"12 2 scenarios of these / uringproxy-epoll": unmeasured, "12 http1-1m / uringproxy-epoll": noisy,
			"13 http1-1m / base-epoll": noisy,
		}, "too few"},
		{"slower than before", func(r *result.Run) { cellOf(r, small, epoll).Ratios[baseEpoll] = exactly(1.04) },
			map[string]verdict{"13 http1-small / base-epoll": fell}, "1.040"},
		{"a later p99 than before", func(r *result.Run) {
			cellOf(r, fixedRate, uring).Ratios[baseUring] = exactly(1.2)
		}, map[string]verdict{"13 fixed-rate / base-uring": fell}, ""},
		{"a p99 that varies", func(r *result.Run) {
			cellOf(r, fixedRate, uring).Ratios[baseUring] = result.Spread{Median: 1.2, Low: 0.9, High: 1.3, Count: 5}
		}, map[string]verdict{"13 fixed-rate / base-uring": noisy}, "disagree"},
		{"epoll crashed at a fixed rate", func(r *result.Run) {
			c := cellOf(r, fixedRate, epoll)
			c.Problem, c.Ratios = "ended with signal 11", nil
		}, map[string]verdict{"13 fixed-rate / base-epoll": fell}, "signal 11"},
		{"epoll had errors at a fixed rate", func(r *result.Run) { cellOf(r, fixedRate, epoll).Errors = 2 },
			map[string]verdict{"13 fixed-rate / base-epoll": fell}, "2 errors"},
		{"epoll crashed while it changed", func(r *result.Run) {
			cellOf(r, reload, epoll).Problem = "ended with signal 6"
		}, map[string]verdict{"10 reload-under-load on epoll": fell}, "signal 6"},
		{"changes broke a stream", func(r *result.Run) {
			cellOf(r, reload, uring).Changes = &result.Changes{Written: 500, Live: 500, Dropped: 1}
		}, map[string]verdict{"10 reload-under-load": fell}, "streams (1)"},
		{"changes lost a request", func(r *result.Run) {
			cellOf(r, reload, epoll).Changes = &result.Changes{Written: 500, Live: 500, Lost: 3}
		}, map[string]verdict{"10 reload-under-load on epoll": fell}, "requests (3)"},
		{"changes were late", func(r *result.Run) {
			cellOf(r, reload, uring).Changes = &result.Changes{Written: 500, Live: 249}
		}, map[string]verdict{"10 reload-under-load": unmeasured}, "only 249 of 500 changes were live before the next"},
		{"changes were late and dear", func(r *result.Run) {
			c := cellOf(r, reload, uring)
			c.Cost, c.Changes = exactly(1.6), &result.Changes{Written: 500, Live: 249}
		}, map[string]verdict{"10 reload-under-load": fell}, "1.600"},
		{"no change", func(r *result.Run) { cellOf(r, reload, epoll).Changes = &result.Changes{} },
			map[string]verdict{"10 reload-under-load on epoll": unmeasured}, "0 of 0"},
		{"changes that nobody counted", func(r *result.Run) { cellOf(r, reload, uring).Changes = nil },
			map[string]verdict{"10 reload-under-load": unmeasured}, "nothing is known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := verdicts(judge([]*result.Run{good()}, goodMatches()))
			r := good()
			tc.change(r)
			all := judge([]*result.Run{r}, goodMatches())
			var out bytes.Buffer
			open, strictly := show(&out, all, false) == nil, show(&bytes.Buffer{}, all, true) == nil
			short, doubtful := false, false
			for key, v := range verdicts(all) {
				want, changes := tc.want[key]
				if !changes {
					want = before[key]
				}
				if v != want {
					t.Errorf("%s: %s, expected %s", key, v, want)
				}
				short, doubtful = short || v == fell, doubtful || v == noisy || v == unmeasured
			}
			if open == short || strictly == (short || doubtful) || !strings.Contains(out.String(), tc.says) {
				t.Errorf("open %v, strictly %v; expected %q in\n%s", open, strictly, tc.says, &out)
			}
		})
	}
}

func verdicts(all []finding) map[string]verdict {
	by := map[string]verdict{}
	for _, f := range all {
		by[f.row+" "+f.what] = f.verdict
	}
	return by
}

func TestNothingMeasured(t *testing.T) {
	all := judge(nil, nil)
	for _, f := range all {
		if !f.missing() || f.why == "" {
			t.Errorf("%+v", f)
		}
	}
	if err := show(&bytes.Buffer{}, all, true); !errors.Is(err, errNothing) {
		t.Error(err)
	}
}

func TestLastRunCounts(t *testing.T) {
	worse := good()
	cellOf(worse, small, uring).Ratios["nginx"] = exactly(0.9)
	only := &result.Run{Scenarios: good().Scenarios[:1]}
	if show(&bytes.Buffer{}, judge([]*result.Run{worse, only}, nil), false) != nil {
		t.Error("an earlier run counts where a later one has the scenario")
	}
	if show(&bytes.Buffer{}, judge([]*result.Run{only, worse}, nil), false) == nil {
		t.Error("an earlier run counts")
	}
}

func TestMatches(t *testing.T) {
	text := "goos: linux\n"
	for i, size := range matchSizes {
		for _, shape := range matchShapes {
			for run := range 3 {
				text += fmt.Sprintf("BenchmarkMatch/%s/%d-2 \t  500000\t  220.5 ns/op\t  152.0 p50-ns\t", shape, size) +
					fmt.Sprintf(" %d p99-ns\t 0 B/op\n", 300*(i+1)+500*run)
			}
		}
	}
	text += "BenchmarkMatch/regexes/1-2 1 5 ns/op 5 p50-ns 99999 p99-ns\nPASS\n"
	matches, err := readMatches(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range judgeMatches(matches) {
		got = append(got, f.measured+": "+f.verdict.String())
	}
	want := []string{"800 ns (hosts): pass", "1100 ns (hosts): FAIL", "1400 ns (hosts): FAIL", "1700 ns (hosts): FAIL"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
	for _, f := range judgeMatches([]match{{"deep", 1, 20_000}, {"hosts", 1000, 10}}) {
		switch {
		case strings.Contains(f.what, " 1 routes") && (f.verdict != fell || !strings.Contains(f.why, "fault")),
			!strings.Contains(f.what, " 1 routes") && f.verdict != unmeasured:
			t.Errorf("%+v", f)
		}
	}
}
