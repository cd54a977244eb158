package report

import (
	"fmt"
	"math"
	"strconv"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/result"
)

// glance is all ratios of the first of ours on one logarithmic axis.
type glance struct {
	Own   string
	Ticks []glanceTick
	One   string // where the ratio 1 is, in percent of the width
	Rows  []glanceRow
}

// glanceTick is a line of the grid.
type glanceTick struct{ X, Text string }

// glanceRow is a scenario: a strip with a lane for each peer.
type glanceRow struct {
	ID, Name, Noun, Text string
	Height               string
	Lanes                []lane
}

// lane is one ratio, or why there is none.
type lane struct {
	Class, Mark          string
	X, Low, High         string // percent; Low is empty when there is no range
	Y                    string // of its middle
	Label                string
	Anchor, LabelX, Push string // on which side of the mark the label has its place
	Words                bool
}

const laneHeight = 22

// ratioTicks are the ratios that may have a line: on an axis over many powers of ten, over a few, and on a short one.
var ratioTicks = [3][]float64{
	{1e-6, 1e-5, 1e-4, .001, .01, .1, 1, 10, 100, 1000, 1e4, 1e5, 1e6},
	{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200},
	{.2, .25, .3, .4, .5, .6, .7, .8, .9, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5},
}

// glanceOf draws the ratios of a run. It has no rows when there is no ratio.
func glanceOf(r *result.Run, looks map[string]look) glance {
	own, others := split(r)
	if len(own) == 0 || len(others) == 0 {
		return glance{}
	}
	axis := ratioAxis(r, own[0].Name)
	if axis.high == 0 {
		return glance{}
	}
	g := glance{Own: called(own[0]), One: axis.at(1)}
	for _, v := range axis.ticks() {
		g.Ticks = append(g.Ticks, glanceTick{axis.at(v), figureShort(v)})
	}
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		rows := standings(r, s)
		row := glanceRow{ID: fmt.Sprintf("s%d", i+1), Name: plain(s.Name), Noun: costOf(s.Unit).noun}
		row.Text = sentence(r, s, rows)
		for _, st := range rows {
			if !st.peer.Ours {
				x, ok := against(rows, own[0].Name, st)
				row.Lanes = append(row.Lanes, axis.lane(&st, x, ok, looks[st.peer.Name], len(row.Lanes)))
			}
		}
		row.Height = strconv.Itoa(laneHeight * len(row.Lanes))
		g.Rows = append(g.Rows, row)
	}
	return g
}

// logAxis is a logarithmic axis that has 1 on it.
type logAxis struct{ low, high float64 }

// ratioAxis reaches over all ratios of a run and their ranges. It is zero when there are none.
func ratioAxis(r *result.Run, own string) logAxis {
	a := logAxis{1, 1}
	some := false
	for i := range r.Scenarios {
		rows := standings(r, &r.Scenarios[i])
		for _, st := range rows {
			if x, ok := against(rows, own, st); ok && !st.peer.Ours {
				some = true
				a.low, a.high = min(a.low, x.Median), max(a.high, x.Median, x.High)
				if x.Low > 0 {
					a.low = min(a.low, x.Low)
				}
			}
		}
	}
	if !some {
		return logAxis{}
	}
	return logAxis{max(a.low/1.3, 1e-6), min(a.high*1.6, 1e6)}
}

// at is where x is, in percent.
func (a logAxis) at(x float64) string {
	x = min(max(x, a.low), a.high)
	return strconv.FormatFloat(100*math.Log(x/a.low)/math.Log(a.high/a.low), 'f', 2, 64)
}

// ticks are round ratios on the axis, as many as it has places for.
func (a logAxis) ticks() []float64 {
	choice := ratioTicks[0]
	switch length := a.high / a.low; {
	case length < 5:
		choice = ratioTicks[2]
	case length < 300:
		choice = ratioTicks[1]
	}
	var all []float64
	for _, v := range choice {
		if v >= a.low && v <= a.high {
			all = append(all, v)
		}
	}
	return all
}

func (a logAxis) lane(st *standing, x result.Spread, known bool, l look, index int) lane {
	name := called(st.peer)
	n := lane{Class: l.class, Mark: l.mark, Y: strconv.Itoa(laneHeight*index + laneHeight/2)}
	if !known {
		n.Words, n.Label = true, name+": no ratio"
		n.LabelX, n.Anchor, n.Push = "0", "start", "2"
		return n
	}
	n.Label, n.X = name+" "+ratio(x.Median), a.at(x.Median)
	if reach(x, ratio) != "" {
		n.Low, n.High = a.at(x.Low), a.at(x.High)
	}
	n.LabelX, n.Anchor, n.Push = a.at(max(x.Median, x.High)), "start", "10"
	if position, _ := strconv.ParseFloat(n.X, 64); position > 60 {
		n.LabelX, n.Anchor, n.Push = a.at(min(x.Median, x.Low)), "end", "-10"
	}
	return n
}

// figureShort writes a round number without zeros at its end, and without what binary fractions add to it.
func figureShort(x float64) string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 5, 64), 64)
	return words.GroupDigits(strconv.FormatFloat(rounded, 'f', -1, 64))
}
