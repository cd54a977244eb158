package report

import (
	"strconv"

	"github.com/uringproxy/uringproxy/perf/result"
)

// barChart compares one figure of all peers.
type barChart struct {
	Title, Unit string
	Better      string // which end of it is the good one
	Bars        []bar
}

// bar is one peer's. Positions are percentages of the chart's width, so that it may have any.
type bar struct {
	Name, Class string
	Ours        bool
	Words       string // in the place of the bar
	Value       string
	Text        string // what the bar says, for those who cannot see it
	Solid, Pale string // up to the lowest round, and from there to the highest; Pale is empty when they are the same
}

// barCharts are throughput and cost, as far as a scenario has them. A throughput that was asked for is no result.
func barCharts(s *result.Scenario, rows []standing, looks map[string]look) []barChart {
	due := false
	for _, st := range rows {
		due = due || st.cell.Rate > 0
	}
	var all []barChart
	add := func(c barChart, of func(*result.Cell) result.Spread) {
		if c.Bars = barsOf(rows, looks, c.Unit, of); c.Bars != nil {
			all = append(all, c)
		}
	}
	u := costOf(s.Unit)
	add(barChart{Title: upper(u.noun), Unit: u.unit, Better: "shorter is better"},
		func(c *result.Cell) result.Spread { return c.Cost })
	switch {
	case due:
	case s.Unit == result.PerByte:
		add(barChart{Title: "Throughput", Unit: "MiB/s", Better: "longer is better"},
			func(c *result.Cell) result.Spread { return mebi(c.BytesRate) })
	default:
		add(barChart{Title: "Throughput", Unit: "requests/s", Better: "longer is better"},
			func(c *result.Cell) result.Spread { return c.Throughput })
	}
	return all
}

// barsOf draws a figure of all peers; nothing when none has it.
func barsOf(rows []standing, looks map[string]look, unit string, of func(*result.Cell) result.Spread) []bar {
	full := 0.0
	for _, st := range rows {
		if s := of(&st.cell); st.words == "" && s.Known() {
			full = max(full, s.Median, s.High)
		}
	}
	if full <= 0 {
		return nil
	}
	at := func(x float64) string { return strconv.FormatFloat(100*min(max(x/full, 0), 1), 'f', 2, 64) }
	var bars []bar
	for _, st := range rows {
		b := bar{Name: called(st.peer), Class: looks[st.peer.Name].class, Ours: st.peer.Ours, Words: brief(&st)}
		s := of(&st.cell)
		switch {
		case st.words != "":
		case !s.Known():
			b.Words = "no figure"
		default:
			b.Value, b.Solid = figure(s.Median), at(s.Median)
			b.Text = b.Name + ": " + spread(s, figure) + " " + unit
			if reach(s, figure) != "" {
				b.Solid, b.Pale = at(s.Low), at(s.High-s.Low)
			}
		}
		bars = append(bars, b)
	}
	return bars
}
