package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
)

// run is everything that is reported.
type run struct {
	Routes  int           `json:"routes"` // unrelated ones
	Conns   int           `json:"connections"`
	Streams int           `json:"streams"`
	Length  time.Duration `json:"phase_ns"`
	Rate    float64       `json:"changes_per_second"`
	Apply   string        `json:"apply"`
	Missing []string      `json:"missing,omitempty"` // proxies that were not found
	Reports []*report     `json:"peers"`
}

func (r *run) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// writeTable writes medians over the pairs: a line for the pairs in which unrelated routes changed, and one for those
// in which the loaded route's service changed as well.
func (r *run) writeTable(w io.Writer) {
	fmt.Fprintf(w, "%d routes and the loaded one, %d connections, %d streams, %g changes a second in phases of %s\n",
		r.Routes, r.Conns, r.Streams, r.Rate, r.Length)
	for _, p := range r.Reports {
		fmt.Fprintf(w, "%s: %s\n", p.Name, p.Version)
	}
	fmt.Fprintf(w, "\nlatency in ms: without changes / with changes, medians of the pairs of phases\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tchanging\tpairs\treq/s\tp50\tp99\tp99.9\tmax\tp99 ratio\tgenerator p99")
	r.eachRow(func(p *report, kind string, pairs []pair) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, kind, len(pairs), p.Rate,
			both(pairs, func(l *load.Result) time.Duration { return l.P50 }),
			both(pairs, func(l *load.Result) time.Duration { return l.P99 }),
			both(pairs, func(l *load.Result) time.Duration { return l.P999 }),
			both(pairs, func(l *load.Result) time.Duration { return l.Max }),
			ratio(pairs), both(pairs, func(l *load.Result) time.Duration { return l.Lag99 }))
	})
	t.Flush()
	fmt.Fprintf(w, "\nwhat changes cost and break; errors, closed connections and dropped streams: without / with\n")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tchanging\terrors\tclosed\tstreams dropped\tstream gap ms\t"+
		"changes\tlive\tlive after ms\trepeated\tCPU ms/change")
	r.eachRow(func(p *report, kind string, pairs []pair) {
		s := sum(pairs)
		fmt.Fprintf(t, "%s\t%s\t%d / %d\t%d / %d\t%d / %d\t%s\t%d\t%d\t%s\t%d\t%.2f\n", p.Name, kind,
			s.without.Errors.Sum(), s.with.Errors.Sum(), s.without.Reconnects, s.with.Reconnects,
			s.without.Dropped, s.with.Dropped, both(pairs, func(l *load.Result) time.Duration { return l.Gap }),
			s.changes.Written, s.changes.Live, s.changes.after(), s.changes.Repeated, ms(s.perChange))
	})
	t.Flush()
	r.writeRest(w)
}

// writeRest writes memory, and everything that is not as it should be.
func (r *run) writeRest(w io.Writer) {
	fmt.Fprintln(w)
	for _, p := range r.Reports {
		fmt.Fprintf(w, "%s: ", p.Name)
		if m := p.Memory; m.Before > 0 {
			const mib = 1 << 20
			fmt.Fprintf(w, "memory %.1f MiB before, %.1f at the most, %.1f after; ", float64(m.Before)/mib,
				float64(m.Most)/mib, float64(m.After)/mib)
		}
		fmt.Fprintf(w, "others used %.0f %% of its core at the most\n", 100*p.foreign())
		p.writeFaults(w)
	}
	for _, name := range r.Missing {
		fmt.Fprintf(w, "left out: %s\n", name)
	}
}

// muchForeign is the part of a core that others may use before a measurement is worth nothing.
const muchForeign = 0.1

// foreign is the greatest part of the proxy's core that others used in a phase.
func (p *report) foreign() (most float64) {
	for _, q := range p.Pairs {
		most = max(most, q.Foreign)
	}
	return most
}

func (p *report) writeFaults(w io.Writer) {
	var errors load.Errors
	var samples []string
	for i := range p.Pairs {
		q := &p.Pairs[i]
		for _, l := range []*load.Result{q.Without, q.With} {
			errors.Add(&l.Errors)
			samples = append(samples, l.Samples...)
		}
		if q.Switching && (q.With.Services[services[0]] == 0 || q.With.Services[services[1]] == 0) {
			fmt.Fprintf(w, "  in a phase that changed the service only one answered: %v\n", q.With.Services)
		}
	}
	if p.foreign() > muchForeign {
		fmt.Fprintln(w, "  the machine was busy with something else: repeat this when it is not")
	}
	if errors.Sum() > 0 {
		fmt.Fprintf(w, "  errors: %+v\n", errors)
	}
	for _, s := range samples[:min(len(samples), 5)] {
		fmt.Fprintf(w, "  such as: %s\n", s)
	}
	if p.Error != "" {
		fmt.Fprintf(w, "  incomplete: %s\n", p.Error)
	}
}

// eachRow calls fn for the pairs of a proxy of either sort.
func (r *run) eachRow(fn func(p *report, kind string, pairs []pair)) {
	for _, p := range r.Reports {
		for _, switching := range []bool{false, true} {
			var pairs []pair
			for _, q := range p.Pairs {
				if q.Switching == switching {
					pairs = append(pairs, q)
				}
			}
			kind := "routes"
			if switching {
				kind = "routes, service"
			}
			if len(pairs) > 0 {
				fn(p, kind, pairs)
			}
		}
	}
}

// both are the medians of a duration without and with changes, in ms.
func both(pairs []pair, of func(*load.Result) time.Duration) string {
	var without, with []float64
	for _, p := range pairs {
		without = append(without, ms(of(p.Without)))
		with = append(with, ms(of(p.With)))
	}
	return fmt.Sprintf("%.2f / %.2f", peer.Median(without), peer.Median(with))
}

// ratio is the median of the pairs' ratios of p99, and in brackets the least and the greatest.
func ratio(pairs []pair) string {
	var v []float64
	for _, p := range pairs {
		v = append(v, float64(p.With.P99)/math.Max(float64(p.Without.P99), 1))
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", peer.Median(v), slices.Min(v), slices.Max(v))
}

// total is what several pairs add up to.
type total struct {
	without, with load.Result // of these only what is counted
	changes       changes     // LiveAfter is the median of the phases
	perChange     time.Duration
}

func sum(pairs []pair) total {
	var t total
	var after []float64
	var extra time.Duration
	for _, p := range pairs {
		for _, side := range []struct{ to, from *load.Result }{{&t.without, p.Without}, {&t.with, p.With}} {
			side.to.Errors.Add(&side.from.Errors)
			side.to.Reconnects += side.from.Reconnects
			side.to.Dropped += side.from.Dropped
		}
		t.changes.Written += p.Changes.Written
		t.changes.Live += p.Changes.Live
		t.changes.Repeated += p.Changes.Repeated
		if p.Changes.Live > 0 {
			after = append(after, float64(p.Changes.LiveAfter))
		}
		// Both phases had the same load; what the second one cost more is due to the changes.
		extra += p.CPUWith + p.CPUAfter - p.CPUWithout
	}
	t.changes.LiveAfter = time.Duration(peer.Median(after))
	t.perChange = extra / time.Duration(max(t.changes.Written, 1))
	return t
}

// after is LiveAfter in ms, if there is one.
func (c *changes) after() string {
	if c.Live == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", ms(c.LiveAfter))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
