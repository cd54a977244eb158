package expose

import "github.com/uringproxy/uringproxy/metrics"

// nano is how many nanoseconds a second has.
const nano = 1e9

// eventBounds are the buckets of what is a number of events.
var eventBounds = []uint64{0, 1, 2, 5, 10, 20, 50, 100, 200}

// quantiles are those that summaries have; the last is the greatest value, and exact.
var quantiles = []float64{0.5, 0.9, 0.99, 0.999, 1}

// distribution writes a histogram whose values are divided by scale. Its buckets are put together from finer ones, so
// that a value within 2 % of a bound may be on either side of it.
func (e *encoder) distribution(d *metrics.Distribution, bounds []uint64, scale float64, labels ...string) {
	for _, bound := range bounds {
		e.bucket(boundText(float64(bound)/scale), d.Below(bound), labels)
	}
	e.bucket(infinite, d.Count, labels)
	e.numberPart("_sum", float64(d.Sum)/scale, labels...)
	e.part("_count", d.Count, labels...)
}

// quantiles writes a summary whose values are divided by scale.
func (e *encoder) quantiles(d *metrics.Distribution, scale float64, labels ...string) {
	for _, q := range quantiles {
		v := d.Max
		if q < 1 {
			v = d.Quantile(q)
		}
		e.number(float64(v)/scale, append(labels[:len(labels):len(labels)], "quantile", boundText(q))...)
	}
	e.numberPart("_sum", float64(d.Sum)/scale, labels...)
	e.part("_count", d.Count, labels...)
}

// spans writes a series' histogram.
func (e *encoder) spans(s *metrics.Spans, labels ...string) {
	n := uint64(0)
	for i, bound := range spanTexts {
		n += s.Counts[i]
		e.bucket(bound, n, labels)
	}
	e.numberPart("_sum", float64(s.Sum)/nano, labels...)
	e.part("_count", n, labels...)
}

// spanTexts are the bounds of a series' histogram: there may be a hundred thousand buckets to be written.
var spanTexts = func() (all [len(metrics.Spans{}.Counts)]string) {
	for i, bound := range metrics.SpanBounds {
		all[i] = boundText(float64(bound) / nano)
	}
	all[len(all)-1] = infinite
	return all
}()

// timed is the two families of a timing: a histogram, from which rates and quantiles of any interval can be reckoned,
// and a summary with the quantiles since the start of the process, which are exact to 2 %.
func timed(name string, t metrics.Timing, help string) []family {
	return []family{
		{name + "_seconds", histogram, help, "", func(e *encoder, in *Input) {
			e.distribution(in.total.Timing(t), metrics.SpanBounds[:], nano)
		}},
		{name + "_quantiles_seconds", summary, "Quantiles since the start, 1 being the maximum: " + help, "quantile",
			func(e *encoder, in *Input) { e.quantiles(in.total.Timing(t), nano) }},
	}
}
