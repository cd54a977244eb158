package main

import (
	"fmt"
	"slices"

	"github.com/uringproxy/uringproxy/perf/result"
)

// verdict is what became of a comparison.
type verdict int

const (
	passed     verdict = iota
	fell               // short of the contract
	noisy              // measured, but the figures must not be quoted
	unmeasured         // could have been measured
)

// finding is one comparison of a row of the contract with what was measured.
type finding struct {
	row      string
	what     string // "http1-small / nginx"
	limit    string
	measured string // with its range; empty: there is no figure
	verdict  verdict
	why      string // there is no figure, or none to be quoted
	aside    bool   // the same on a busy machine: a pass does not show that anything else was measured
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
	all = append(all, e.reload()...)
	all = append(all, judgeMatches(matches)...)
	all = append(all, e.engines()...)
	all = append(all, e.base()...)
	return append(all, e.itself("14", tlsFlood, floodLimit))
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
	f := finding{
		row: row, what: scenario + " / " + other, limit: atMost(limit), verdict: unmeasured,
		aside: memory(scenario) && slices.ContainsFunc(e.order, func(name string) bool { return !memory(name) }),
	}
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
		f.compare(ratio, byRound(a, b), limit, unclear(a, b))
	}
	return f
}

func memory(scenario string) bool { return slices.Contains(memoryScenarios, scenario) }

// failure says why a proxy of ours has failed in a scenario: that is no figure missing, but a row that is not met.
func failure(c *result.Cell) string {
	switch made := c.Changes; {
	case c.Problem != "":
		return c.Peer + ": " + c.Problem
	case made != nil && made.Dropped+made.Lost > 0:
		return fmt.Sprintf("%s: the changes broke streams (%d) or requests (%d)", c.Peer, made.Dropped, made.Lost)
	case c.Errors > 0:
		return fmt.Sprintf("%s: %d errors", c.Peer, c.Errors)
	}
	return ""
}

// unclear says why the ratio of a to b must not be quoted. Where nothing is said of any ratio of a, what is said of the
// two cells counts: results of earlier builds know nothing else.
func unclear(a, b *result.Cell) string {
	if a.Unclear != nil {
		return a.Unclear[b.Peer]
	}
	return firstOf(a.Noisy, b.Noisy)
}

// byRound are the ratios of a to b one by one; none under b's load, where they are not kept.
func byRound(a, b *result.Cell) []float64 {
	if a.At[b.Peer].Known() {
		return nil
	}
	return result.Quotients(a.Rounds, b.Rounds)
}

// compare sets the verdict by the median. A miss has to be clear, in that the middle half of the rounds is beyond the
// limit too: the median of builds that do not differ is on either side of it by chance. Where the rounds are not known
// one by one, all of them have to be.
func (f *finding) compare(s result.Spread, rounds []float64, limit float64, noise string) {
	half := result.Middle(rounds)
	if !half.Known() {
		half = s
	}
	f.measured = spread(s)
	switch {
	case noise != "":
		f.verdict, f.why = noisy, noise
	case s.Median <= limit:
		f.verdict = passed
	case half.Low <= limit:
		f.verdict = noisy
		f.why = fmt.Sprintf("the rounds disagree, half of them are from %.3f to %.3f", half.Low, half.High)
	default:
		f.verdict = fell
	}
}

func (e *evidence) versusPeers(r *versusPeers) (all []finding) {
	for i, peer := range peers {
		all = append(all, e.ratio(r.id, r.scenario, uring, peer, r.limits[i]))
	}
	return all
}

// itself judges a scenario whose cost is a ratio itself, on io_uring.
func (e *evidence) itself(row, scenario string, limit float64) finding {
	f := finding{row: row, what: scenario, limit: atMost(limit), verdict: unmeasured}
	c, why := e.cell(scenario, uring)
	switch {
	case c == nil:
		f.why = why
	case failure(c) != "":
		f.verdict, f.why = fell, failure(c)
	case !c.Cost.Known():
		f.why = "there is no figure"
	default:
		var rounds []float64
		for _, r := range c.Rounds {
			rounds = append(rounds, r.Cost)
		}
		f.compare(c.Cost, rounds, limit, c.Noisy)
	}
	return f
}

// reload is row 10. That the changes take place and break nothing is judged on epoll too.
func (e *evidence) reload() []finding {
	f := e.itself("10", reload, reloadLimit)
	if f.verdict == passed {
		if c, _ := e.cell(reload, uring); late(c) != "" {
			f.verdict, f.why = unmeasured, late(c)
		}
	}
	g := finding{row: "10", what: reload + " on epoll", limit: "nothing breaks", verdict: unmeasured, aside: true}
	c, why := e.cell(reload, epoll)
	switch {
	case c == nil:
		g.why = why
	case failure(c) != "":
		g.verdict, g.why = fell, failure(c)
	case late(c) != "":
		g.why = late(c)
	default:
		g.verdict = passed
	}
	return []finding{f, g}
}

// late says that too few changes took place for their cost to mean anything; empty if there were enough.
func late(c *result.Cell) string {
	if c.Changes == nil {
		return "nothing is known of the changes"
	}
	written, live := c.Changes.Written, c.Changes.Live
	if live == 0 || 2*live < written {
		return fmt.Sprintf("only %d of %d changes were live before the next", live, written)
	}
	return ""
}

// engines is row 12: io_uring costs no more than epoll anywhere, and clearly less in some scenarios.
func (e *evidence) engines() (all []finding) {
	sum := finding{
		row: "12", what: fmt.Sprintf("%d scenarios of these / %s", engineTimes, epoll), limit: atMost(engineBetter),
		verdict: unmeasured,
	}
	measured, better, doubtful := 0, 0, 0
	for _, s := range engineScenarios {
		all = append(all, e.ratio("12", s, uring, epoll, engineLimit))
		switch e.ratio("12", s, uring, epoll, engineBetter).verdict {
		case passed:
			measured++
			better++
		case fell:
			measured++
		default:
			doubtful++
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

// base is row 13: each engine against the same one of the other build, in every scenario that compares costs. Row 10 is
// there for the one that does not.
func (e *evidence) base() (all []finding) {
	for _, name := range e.order {
		if e.scenarios[name].Unit == result.P99Ratio {
			continue
		}
		for _, pair := range [2][2]string{{uring, baseUring}, {epoll, baseEpoll}} {
			all = append(all, e.ratio("13", name, pair[0], pair[1], baseLimit))
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
