package main

import (
	"fmt"

	"github.com/uringproxy/uringproxy/perf/result"
)

// verdict is what became of a comparison.
type verdict int

const (
	passed     verdict = iota
	fell               // short of the contract
	noisy              // measured, but the figures must not be quoted
	unmeasured         // not measured, or cannot be
)

// finding is one comparison of a row of the contract with what was measured.
type finding struct {
	row      string
	what     string // "http1-small / nginx"
	limit    string
	measured string // with its range; empty: there is no figure
	verdict  verdict
	why      string // there is no figure, or none to be quoted
}

// judge compares everything that was measured with the contract, row by row. Of several runs that have a scenario the
// last counts.
func judge(runs []*result.Run, matches []match) []finding {
	e := evidence{scenarios: map[string]*result.Scenario{}}
	for _, r := range runs {
		for i := range r.Scenarios {
			s := &r.Scenarios[i]
			if e.scenarios[s.Name] == nil {
				e.order = append(e.order, s.Name)
			}
			e.scenarios[s.Name] = s
		}
	}
	var all []finding
	for i := range peerRows {
		all = append(all, e.versusPeers(&peerRows[i])...)
	}
	all = append(all, e.reload())
	all = append(all, judgeMatches(matches)...)
	all = append(all, e.engines()...)
	return append(all, e.base()...)
}

// evidence is what the runs have found.
type evidence struct {
	scenarios map[string]*result.Scenario
	order     []string // of their names
}

func (e *evidence) cell(scenario, proxy string) (*result.Cell, string) {
	s := e.scenarios[scenario]
	if s == nil {
		return nil, "scenario " + scenario + " was not run"
	}
	for i := range s.Cells {
		if s.Cells[i].Peer == proxy {
			return &s.Cells[i], ""
		}
	}
	return nil, proxy + " did not take part"
}

// ratio judges the cost of one proxy of ours against that of another in a scenario.
func (e *evidence) ratio(row, scenario, ours, other string, limit float64) finding {
	f := finding{row: row, what: scenario + " / " + other, limit: atMost(limit), verdict: unmeasured}
	a, why := e.cell(scenario, ours)
	if a == nil {
		f.why = why
		return f
	}
	if problem := failure(a); problem != "" {
		f.verdict, f.why = fell, problem
		return f
	}
	b, why := e.cell(scenario, other)
	ratio := a.Ratios[other]
	switch {
	case b == nil:
		f.why = why
	case b.Problem != "":
		f.why = other + ": " + b.Problem
	case !ratio.Known():
		f.why = "there is no ratio of the two"
	default:
		f.compare(ratio, limit, firstOf(a.Noisy, b.Noisy))
	}
	return f
}

// failure says why a proxy of ours has failed in a scenario: that is no figure missing, but a row that is not met.
func failure(c *result.Cell) string {
	if c.Problem != "" {
		return c.Peer + ": " + c.Problem
	}
	if c.Errors > 0 {
		return fmt.Sprintf("%s: %d errors", c.Peer, c.Errors)
	}
	return ""
}

// compare sets the verdict by the median.
func (f *finding) compare(s result.Spread, limit float64, noise string) {
	f.measured = spread(s)
	switch {
	case noise != "":
		f.verdict, f.why = noisy, noise
	case s.Median <= limit:
		f.verdict = passed
	default:
		f.verdict = fell
	}
}

func (e *evidence) versusPeers(r *versusPeers) (all []finding) {
	for i, peer := range peers {
		if r.scenario != "" {
			all = append(all, e.ratio(r.id, r.scenario, uring, peer, r.limits[i]))
			continue
		}
		all = append(all, finding{
			row: r.id, what: peer, limit: atMost(r.limits[i]), verdict: unmeasured,
			why: "there is no " + r.missing + " yet",
		})
	}
	return all
}

// reload is row 10: a scenario whose cost is a ratio itself.
func (e *evidence) reload() finding {
	f := finding{row: "10", what: reload, limit: atMost(reloadLimit), verdict: unmeasured}
	c, why := e.cell(reload, uring)
	switch {
	case c == nil:
		f.why = why
	case failure(c) != "":
		f.verdict, f.why = fell, failure(c)
	case !c.Cost.Known():
		f.why = "there is no figure"
	default:
		f.compare(c.Cost, reloadLimit, c.Noisy)
	}
	return f
}

// engines is row 12: io_uring costs no more than epoll anywhere, and clearly less in some scenarios.
func (e *evidence) engines() (all []finding) {
	sum := finding{
		row: "12", what: fmt.Sprintf("%d scenarios of these / %s", engineTimes, epoll), limit: atMost(engineBetter),
		verdict: unmeasured,
	}
	measured, better, doubtful := 0, 0, 0
	for _, s := range engineScenarios {
		f := e.ratio("12", s, uring, epoll, engineLimit)
		all = append(all, f)
		switch f.verdict {
		case passed, fell:
			measured++
		default:
			doubtful++
		}
		if c, _ := e.cell(s, uring); f.verdict == passed && c.Ratios[epoll].Median <= engineBetter {
			better++
		}
	}
	sum.measured = fmt.Sprintf("%d of %d", better, measured)
	switch {
	case better >= engineTimes:
		sum.verdict = passed
	case measured == 0:
		sum.measured, sum.why = "", "none was measured"
	case better+doubtful < engineTimes:
		sum.verdict = fell
	default:
		sum.why = "too few were measured"
	}
	return append(all, sum)
}

// base is row 13: each engine against the same one of the other build, in every scenario that compares costs. A p99 can
// differ from round to round by much more than the limit, so there all rounds have to say the same.
func (e *evidence) base() (all []finding) {
	for _, name := range e.order {
		s := e.scenarios[name]
		if s.Unit == result.P99Ratio {
			continue
		}
		for _, pair := range [2][2]string{{uring, baseUring}, {epoll, baseEpoll}} {
			f := e.ratio("13", name, pair[0], pair[1], baseLimit)
			if c, _ := e.cell(name, pair[0]); s.Unit == result.P99 && f.verdict == fell && c.Ratios[pair[1]].Low <= 1 {
				f.verdict, f.why = noisy, "the rounds disagree about which has the greater p99"
			}
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		all = append(all, finding{
			row: "13", what: "base", limit: atMost(baseLimit), verdict: unmeasured, why: "no scenario was run",
		})
	}
	return all
}

func atMost(limit float64) string { return fmt.Sprintf("<= %.2f", limit) }

func spread(s result.Spread) string {
	if s.Count == 1 {
		return fmt.Sprintf("%.3f", s.Median)
	}
	return fmt.Sprintf("%.3f (%.3f to %.3f)", s.Median, s.Low, s.High)
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
