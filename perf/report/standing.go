package report

import (
	"strings"

	"github.com/uringproxy/uringproxy/perf/result"
)

// standing is one cell with what may be said of it.
type standing struct {
	peer result.Peer
	cell result.Cell
	// words stand in the place of the figures; empty when those may be quoted.
	words string
}

// standings are the cells of a scenario, ours first and otherwise in the order of the run's peers; peers that have none
// are there as well, and say so. A peer that has several (at several rates) comes several times.
func standings(r *result.Run, s *result.Scenario) []standing {
	var own, others []standing
	add := func(st standing) {
		if st.peer.Ours {
			own = append(own, st)
		} else {
			others = append(others, st)
		}
	}
	for _, p := range participants(r) {
		found := false
		for _, c := range s.Cells {
			if c.Peer == p.Name {
				found = true
				add(standing{peer: p, cell: c, words: objection(&c)})
			}
		}
		if !found {
			add(standing{peer: p, words: "not measured"})
		}
	}
	return append(own, others...)
}

// participants are the peers of a run, and whoever has a cell without being one of them.
func participants(r *result.Run) []result.Peer {
	var all []result.Peer
	seen := map[string]bool{}
	add := func(p result.Peer) {
		if !seen[p.Name] {
			seen[p.Name] = true
			all = append(all, p)
		}
	}
	for _, p := range r.Peers {
		add(p)
	}
	for _, s := range r.Scenarios {
		for _, c := range s.Cells {
			add(result.Peer{Name: c.Peer})
		}
	}
	return all
}

// called is a peer's name to be shown.
func called(p result.Peer) string {
	if name := plain(p.Name); name != "" {
		return name
	}
	return "without a name"
}

// objection says why a cell's figures may not be quoted.
func objection(c *result.Cell) string {
	switch problem, noisy := plain(c.Problem), plain(c.Noisy); {
	case problem != "":
		return problem
	case noisy != "" && strings.HasPrefix(noisy, "noisy"):
		return noisy
	case noisy != "":
		return "noisy: " + noisy
	case !c.Cost.Known() && !c.Throughput.Known():
		return "no figures"
	}
	return ""
}

// brief is what stands in the place of a bar; the table has the whole of it.
func brief(st *standing) string {
	switch {
	case st.words == "":
		return ""
	case plain(st.cell.Problem) != "":
		return "failed, see below"
	case plain(st.cell.Noisy) != "":
		return "too noisy, see below"
	}
	return st.words
}

// split are the peers that are ours and those that are not.
func split(r *result.Run) (own, others []result.Peer) {
	for _, p := range participants(r) {
		if p.Ours {
			own = append(own, p)
		} else {
			others = append(others, p)
		}
	}
	return own, others
}

// against is the ratio of one of ours to a standing, when it may be quoted.
func against(all []standing, own string, to standing) (result.Spread, bool) {
	return lookUp(all, own, to, func(c *result.Cell) map[string]result.Spread { return c.Ratios })
}

// underLoad is the cost of one of ours under the load of a standing, where each peer has its own.
func underLoad(all []standing, own string, of standing) (result.Spread, bool) {
	return lookUp(all, own, of, func(c *result.Cell) map[string]result.Spread { return c.At })
}

// lookUp finds what one of ours has beside a standing.
func lookUp(all []standing, own string, beside standing,
	in func(*result.Cell) map[string]result.Spread) (result.Spread, bool) {
	c := counterpart(all, own, beside)
	if c == nil {
		return result.Spread{}, false
	}
	if _, unclear := c.Unclear[beside.peer.Name]; unclear {
		return result.Spread{}, false
	}
	s := in(c)[beside.peer.Name]
	return s, s.Known() && s.Median > 0
}

// counterpart is the cell of one of ours that may be compared with a standing; nil when there is none. What was
// measured under the load of the other does not depend on whether the rest of the cell was too noisy.
func counterpart(all []standing, own string, beside standing) *result.Cell {
	if beside.words != "" || beside.peer.Name == own {
		return nil
	}
	for i := range all {
		c := &all[i].cell
		apart := plain(c.Problem) == "" && c.At[beside.peer.Name].Known()
		if all[i].peer.Name == own && (all[i].words == "" || apart) {
			return c
		}
	}
	return nil
}

// unclear says why there is no ratio of one of ours to a standing, where both have figures; empty if that is not so.
func unclear(all []standing, own string, to standing) string {
	c := counterpart(all, own, to)
	if c == nil {
		return ""
	}
	why, found := c.Unclear[to.peer.Name]
	if why = plain(why); found && why == "" {
		why = "it is not clear"
	}
	return why
}

// unclears tell all ratios of a scenario that are not clear.
func unclears(r *result.Run, rows []standing) (notes []note) {
	own, _ := split(r)
	for _, p := range own {
		for _, st := range rows {
			if why := unclear(rows, p.Name, st); why != "" {
				notes = append(notes, note{called(p), "no ratio to " + called(st.peer) + ": " + why})
			}
		}
	}
	return notes
}

// verdict is what a ratio says, its range considered.
type verdict int

const (
	less verdict = iota
	same         // 1 is in the range
	more
)

func judge(s result.Spread) verdict {
	switch {
	case s.High < 1:
		return less
	case s.Low > 1:
		return more
	}
	return same
}

// cost is how a unit is spoken of.
type cost struct {
	noun string // "CPU time per request"
	unit string // "µs": of the figure under that noun; empty when there is none
	head string // of a column: "CPU µs/request"
}

func costOf(u result.Unit) cost {
	switch u {
	case result.PerRequest:
		return cost{"CPU time per request", "µs", "CPU µs/request"}
	case result.PerByte:
		return cost{"CPU time per byte", "ns", "CPU ns/byte"}
	case result.PerConnection:
		return cost{"memory per connection", "bytes", "bytes/connection"}
	case result.P99:
		return cost{"99th percentile of latency", "ms", "p99 ms"}
	case result.P99Ratio:
		return cost{"p99 with / without", "", "p99 ratio"}
	}
	return cost{"cost", plain(string(u)), plain(string(u))}
}

// short is a name of ours without what they all begin with.
func short(name string) string {
	if rest, ok := strings.CutPrefix(name, "uringproxy-"); ok && rest != "" {
		return rest
	}
	return name
}
