package report

import (
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/perf/result"
)

// title names the page after who took part.
func title(r *result.Run) string {
	own, others := split(r)
	name := "uringproxy"
	if v := plain(r.Version); v != "" {
		name += " " + v
	}
	switch {
	case len(others) > 0 && len(own) > 0:
		return name + " beside " + list(names(others))
	case len(own) > 1:
		return name + ": " + list(names(own))
	}
	return name + ": a benchmark"
}

func names(peers []result.Peer) []string {
	var all []string
	for _, p := range peers {
		all = append(all, called(p))
	}
	return all
}

// summary says in sentences what was compared, and how it came out without its better part being chosen.
func summary(r *result.Run) []string {
	own, others := split(r)
	if len(r.Scenarios) == 0 || len(own)+len(others) == 0 {
		return []string{"This run has no scenarios that were measured."}
	}
	how := "1 scenario"
	if n := len(r.Scenarios); n != 1 {
		how = count(n) + " scenarios"
	}
	all := []string{"Compared in " + how + ": " + list(names(append(own, others...))) +
		", each with one worker on one core, taking turns round by round on the same machine."}
	if len(own) == 0 || len(others) == 0 {
		return all
	}
	var verdicts [3]int
	unknown := 0
	for i := range r.Scenarios {
		rows := standings(r, &r.Scenarios[i])
		for _, st := range rows {
			if st.peer.Ours {
				continue
			}
			if s, ok := against(rows, own[0].Name, st); ok {
				verdicts[judge(s)]++
			} else {
				unknown++
			}
		}
	}
	total := verdicts[less] + verdicts[same] + verdicts[more]
	if total == 0 {
		return append(all, "No two figures could be compared: "+
			"where a proxy failed or a round was too noisy, the tables say so.")
	}
	text := called(own[0]) + " takes less than the other in "
	if verdicts[less] == total {
		text += "all " + count(total) + " comparisons."
	} else {
		text += count(verdicts[less]) + " of " + count(total) + " comparisons, and more in " +
			count(verdicts[more]) + "."
	}
	if verdicts[same] > 0 {
		text += " In " + count(verdicts[same]) + " the rounds do not tell which."
	}
	if unknown > 0 {
		text += " Not counted: " + count(unknown) + " that failed, were too noisy or were not measured."
	}
	return append(all, text)
}

// of is the word between a ratio and whom it is to: 0.72 of nginx, but 1.20 times nginx.
func of(x float64) string {
	if x < 1 {
		return "of"
	}
	return "times"
}

// legend explains a scenario's columns.
func legend(r *result.Run, columns []string) string {
	text := "medians of the rounds, with their range"
	own, _ := split(r)
	for _, p := range own {
		if head := short(called(p)) + "/it"; slices.Contains(columns, head) {
			return text + "; " + head + ": what " + called(p) + " takes, divided by what that proxy does"
		}
	}
	return text
}

// tile is one of the ratios that the page begins with.
type tile struct {
	Ratio, Of, Peer, Reach, Rounds string
}

// tiles are the ratios of the first scenario that has any, and what they are ratios of.
func tiles(r *result.Run) ([]tile, string) {
	own, _ := split(r)
	if len(own) == 0 {
		return nil, ""
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		rows := standings(r, s)
		var all []tile
		for _, st := range rows {
			if x, ok := against(rows, own[0].Name, st); ok && !st.peer.Ours {
				all = append(all, tile{ratio(x.Median), of(x.Median), called(st.peer), reach(x, ratio), count(x.Count)})
			}
		}
		if len(all) > 0 {
			return all, called(own[0]) + ", " + costOf(s.Unit).noun + " in " + plain(s.Name)
		}
	}
	return nil, ""
}

// sentence says how the first of ours stands in a scenario.
func sentence(r *result.Run, s *result.Scenario, rows []standing) string {
	own, _ := split(r)
	if len(own) == 0 {
		return ""
	}
	var parts []string
	for _, st := range rows {
		if st.peer.Ours {
			continue
		}
		if x, ok := against(rows, own[0].Name, st); ok {
			parts = append(parts, spread(x, ratio)+" "+of(x.Median)+" "+called(st.peer))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	const joiner = "\u2060" // a line may not end in a range
	return strings.ReplaceAll(upper(costOf(s.Unit).noun)+": "+called(own[0])+" at "+list(parts)+".",
		"–", joiner+"–"+joiner)
}

// upper begins a sentence.
func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// percent writes a part of 1.
func percent(part float64) string { return figure(100*part) + " %" }

// machineFacts list where a run was.
func machineFacts(r *result.Run) []fact {
	m := &r.Machine
	var all []fact
	add := func(name, value string) {
		if value = plain(value); value != "" {
			all = append(all, fact{name, value})
		}
	}
	add("Processor", m.Processor)
	if m.Cores > 0 {
		add("Cores", cores(m.Cores)+"; "+placement(m))
	}
	if m.Memory > 0 {
		add("Memory", binary(m.Memory))
	}
	if m.Virtual != "" {
		add("Machine", virtual(m))
	}
	add("Kernel", m.Kernel)
	add("Go", m.Go)
	if !r.Started.IsZero() {
		add("Started", r.Started.UTC().Format("2006-01-02 15:04:05")+" UTC")
	}
	if r.Seconds > 0 {
		add("Took", length(r.Seconds))
	}
	return all
}
