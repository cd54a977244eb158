package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/perf/histogram"
)

// curve is latency by percentile on the axis of HdrHistogram: every further nine has the same place.
type curve struct {
	ID, Class            string // of a wide or a narrow screen
	Width, Height        string
	Left, Right, Top, By string // the plot's edges; By is the bottom one
	Scale                string // "logarithmic"
	XTicks, YTicks       []curveTick
	Lines                []curveLine
	Stops                []stop
	Direct               bool // labels stand at the lines' ends
	Text                 string
	Missing              []string // peers without a histogram
}

type curveTick struct{ At, Text string }

// curveLine is one peer.
type curveLine struct {
	Name, Class, Dash, Mark, Width string
	Ours                           bool
	Points                         string
	EndX, EndY, LabelY             string
}

// stop is a percentile at which all peers' values can be read.
type stop struct {
	X, Left, Width string
	Text           string
	Marks          []stopMark
}

type stopMark struct{ X, Y, Class, Mark string }

// point is a point of a peer's curve: nines is how many nines its percentile has, 2 for 99 %.
type point struct{ nines, ms float64 }

// latency is the curve of one peer.
type latency struct {
	standing *standing
	look     look
	points   []point
}

// mostNines is the end of the axis: 99.99999 %.
const mostNines = 7

// curvesOf draws a scenario's latencies twice, since text in a drawing shrinks with it.
func curvesOf(id string, rows []standing, looks map[string]look) []curve {
	var all []latency
	var missing []string
	for i := range rows {
		st := &rows[i]
		if st.words != "" {
			continue
		}
		if points := pointsOf(st.cell.Histogram); points != nil {
			all = append(all, latency{st, looks[st.peer.Name], points})
		} else {
			missing = append(missing, called(st.peer))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []curve{
		newPlot(all, 880, 360, 56, 150).draw(id, "wide", missing),
		newPlot(all, 350, 300, 44, 12).draw(id, "narrow", missing),
	}
}

// pointsOf reads a histogram; nothing when there is none, it cannot be read or has no values.
func pointsOf(text string) []point {
	read, err := histogram.Percentiles(text)
	if err != nil || len(read) == 0 {
		return nil
	}
	most := min(math.Log10(float64(max(read[len(read)-1].Count, 10))), mostNines)
	var points []point
	for _, p := range read {
		nines := most
		if p.Percentile < 100 {
			nines = min(math.Log10(100/(100-p.Percentile)), most)
		}
		points = append(points, point{nines, float64(p.Value) / 1e6})
	}
	return points
}

// plot is where latencies have their place in a drawing.
type plot struct {
	all                      []latency
	width, height            float64
	left, right, top, bottom float64
	nines                    float64
	low, high                float64 // ms
	log                      bool
}

func newPlot(all []latency, width, height, left, right float64) *plot {
	p := &plot{all: all, width: width, height: height, left: left, right: width - right, top: 14, bottom: height - 42,
		nines: 2, low: math.Inf(1)}
	for _, l := range all {
		for _, pt := range l.points {
			p.nines, p.high = max(p.nines, pt.nines), max(p.high, pt.ms)
			if pt.ms > 0 {
				p.low = min(p.low, pt.ms)
			}
		}
	}
	p.high = max(p.high, 1e-6) // a nanosecond
	p.low = min(p.low, p.high)
	if p.log = p.high/p.low > 20; p.log {
		p.low, p.high = p.low*.9, p.high*1.15
	} else {
		p.low, p.high = 0, p.high*1.05
	}
	return p
}

func (p *plot) x(nines float64) float64 { return p.left + (p.right-p.left)*nines/p.nines }

func (p *plot) y(ms float64) float64 {
	if p.log {
		return p.bottom - (p.bottom-p.top)*math.Log(max(ms, p.low)/p.low)/math.Log(p.high/p.low)
	}
	return p.bottom - (p.bottom-p.top)*ms/p.high
}

func (p *plot) draw(id, class string, missing []string) curve {
	c := curve{ID: id + class, Class: class, Width: px(p.width), Height: px(p.height),
		Left: px(p.left), Right: px(p.right), Top: px(p.top), By: px(p.bottom),
		Scale: "linear", Direct: class == "wide", Missing: missing}
	if p.log {
		c.Scale = "logarithmic"
	}
	for n := 0.0; n <= p.nines; n++ {
		c.XTicks = append(c.XTicks, curveTick{px(p.x(n)), nines(n)})
	}
	for _, ms := range p.ticks() {
		c.YTicks = append(c.YTicks, curveTick{px(p.y(ms)), figureShort(ms)})
	}
	for _, l := range p.all {
		last := l.points[len(l.points)-1]
		c.Lines = append(c.Lines, curveLine{
			Name: called(l.standing.peer), Class: l.look.class, Dash: l.look.dash, Mark: l.look.mark,
			Width: l.look.width, Ours: l.standing.peer.Ours, Points: p.path(l.points),
			EndX: px(p.x(last.nines)), EndY: px(p.y(last.ms)),
		})
	}
	p.label(c.Lines)
	c.Stops, c.Text = p.stops()
	return c
}

// path is the points of a line; those that fall on the same place are left out.
func (p *plot) path(points []point) string {
	var b strings.Builder
	before := ""
	for _, pt := range points {
		if at := px(p.x(pt.nines)) + "," + px(p.y(pt.ms)); at != before {
			b.WriteString(at + " ")
			before = at
		}
	}
	return strings.TrimSpace(b.String())
}

// label gives the labels places beside the lines' ends where they do not cover one another.
func (p *plot) label(lines []curveLine) {
	const apart = 17
	order := make([]int, len(lines))
	wish := make([]float64, len(lines))
	for i, l := range p.all {
		order[i], wish[i] = i, p.y(l.points[len(l.points)-1].ms)
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, wish[a]-wish[b])) })
	at := p.top
	for _, i := range order {
		wish[i] = max(wish[i], at)
		at = wish[i] + apart
	}
	at = p.bottom
	for _, i := range slices.Backward(order) {
		wish[i] = min(wish[i], at)
		at = wish[i] - apart
	}
	for i := range lines {
		lines[i].LabelY = px(wish[i])
	}
}

// stops are the percentiles with one nine more each, and 50 %; and what they say, for those who cannot see it.
func (p *plot) stops() ([]stop, string) {
	at := []float64{math.Log10(2)}
	for n := 1.0; n <= p.nines; n++ {
		at = append(at, n)
	}
	var all []stop
	var text []string
	for i, n := range at {
		s := stop{X: px(p.x(n))}
		var values []string
		for _, l := range p.all {
			j := slices.IndexFunc(l.points, func(pt point) bool { return pt.nines >= n-1e-9 })
			if j < 0 {
				continue
			}
			values = append(values, called(l.standing.peer)+" "+figure(l.points[j].ms)+" ms")
			s.Marks = append(s.Marks, stopMark{s.X, px(p.y(l.points[j].ms)), l.look.class, l.look.mark})
		}
		from, to := p.left, p.right
		if i > 0 {
			from = p.x((at[i-1] + n) / 2)
		}
		if i+1 < len(at) {
			to = p.x((n + at[i+1]) / 2)
		}
		s.Left, s.Width = px(from), px(to-from)
		s.Text = nines(n) + " within: " + strings.Join(values, ", ")
		all, text = append(all, s), append(text, s.Text)
	}
	return all, strings.Join(text, "; ") + "."
}

// ticks are the values with a line.
func (p *plot) ticks() []float64 {
	var all []float64
	if !p.log {
		step := roundStep(p.high / 5)
		for i := 0.0; i*step <= p.high; i++ {
			all = append(all, i*step)
		}
		return all
	}
	steps := []float64{1}
	if p.high/p.low < 3000 {
		steps = []float64{1, 2, 5}
	}
	for power := math.Floor(math.Log10(p.low)); power <= math.Log10(p.high); power++ {
		for _, s := range steps {
			if v := s * math.Pow(10, power); v >= p.low && v <= p.high {
				all = append(all, v)
			}
		}
	}
	return all
}

// roundStep is the next greater one of 1, 2, 5, 10, 20, 50 and so on.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, s := range []float64{1, 2, 5} {
		if s*power >= x {
			return s * power
		}
	}
	return 10 * power
}

// nines writes a percentile by how many nines it has: 99.9 % for 3.
func nines(n float64) string {
	if n == math.Trunc(n) {
		return strconv.FormatFloat(100-math.Pow(10, 2-n), 'f', max(0, int(n)-2), 64) + " %"
	}
	return fmt.Sprintf("%.3g %%", 100-math.Pow(10, 2-n))
}

// px writes a position in a drawing.
func px(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }
