package report

import (
	"unicode/utf8"

	"github.com/uringproxy/uringproxy/perf/result"
)

// column is one figure of every peer in a scenario. Terminal and page show the same ones.
type column struct {
	head  string
	cells []string // one for each standing
	reach []string // their ranges, where they are apart
	ratio bool
	rank  int // in a narrow table the highest goes first; 0 stays
	width int // of the widest cell or the head
}

// columnsOf are a scenario's columns; those in which no peer has anything are left out.
func columnsOf(r *result.Run, s *result.Scenario, rows []standing, ranges bool) []column {
	b := columnBuilder{rows: rows, ranges: ranges}
	b.text("", 0, func(st standing) string { return called(st.peer) })
	if s.Unit == result.PerByte {
		b.spread("MiB/s", 4, figure, func(c *result.Cell) result.Spread { return mebi(c.BytesRate) })
	} else {
		b.spread("requests/s", 4, figure, func(c *result.Cell) result.Spread { return c.Throughput })
	}
	b.text("due/s", 8, func(st standing) string {
		if st.cell.Rate == 0 {
			return ""
		}
		return count(st.cell.Rate)
	})
	b.spread(costOf(s.Unit).head, 0, figure, func(c *result.Cell) result.Spread { return c.Cost })
	own, _ := split(r)
	for i, p := range own {
		b.add(column{head: short(called(p)) + "/it", ratio: true, rank: 12 * min(i, 1)},
			func(st standing) (result.Spread, bool) { return against(rows, p.Name, st) }, ratio, true)
	}
	for i, p := range own {
		b.add(column{head: short(called(p)) + " at its load", rank: 3 + 10*min(i, 1)},
			func(st standing) (result.Spread, bool) { return underLoad(rows, p.Name, st) }, figure, false)
	}
	b.spread("p50 ms", 6, figure, func(c *result.Cell) result.Spread { return c.P50 })
	if s.Unit != result.P99 {
		b.spread("p99 ms", 2, figure, func(c *result.Cell) result.Spread { return c.P99 })
	}
	b.spread("p99.9 ms", 5, figure, func(c *result.Cell) result.Spread { return c.P999 })
	b.spread("max ms", 9, figure, func(c *result.Cell) result.Spread { return c.Max })
	b.spread("MiB", 7, figure, func(c *result.Cell) result.Spread { return c.Memory })
	b.errors()
	return b.columns
}

// mebi is a spread of bytes in units of 1,048,576.
func mebi(s result.Spread) result.Spread {
	const unit = 1 << 20
	return result.Spread{Median: s.Median / unit, Low: s.Low / unit, High: s.High / unit, Count: s.Count}
}

// columnBuilder collects columns.
type columnBuilder struct {
	rows    []standing
	ranges  bool
	columns []column
}

// add fills a column in. Its ranges stand beside the figures when they are wanted everywhere or always, and apart
// otherwise.
func (b *columnBuilder) add(c column, of func(standing) (result.Spread, bool), write func(float64) string,
	always bool) {
	some := false
	c.width = utf8.RuneCountInString(c.head)
	for _, st := range b.rows {
		text, r := "", ""
		if s, ok := of(st); ok && st.words == "" {
			if r = reach(s, write); b.ranges || always {
				text = spread(s, write)
			} else {
				text = middle(s, write)
			}
		}
		some = some || text != ""
		c.cells, c.reach = append(c.cells, text), append(c.reach, r)
		c.width = max(c.width, utf8.RuneCountInString(text))
	}
	if some {
		b.columns = append(b.columns, c)
	}
}

func (b *columnBuilder) spread(head string, rank int, write func(float64) string,
	of func(*result.Cell) result.Spread) {
	b.add(column{head: head, rank: rank}, func(st standing) (result.Spread, bool) {
		s := of(&st.cell)
		return s, s.Known()
	}, write, false)
}

func (b *columnBuilder) text(head string, rank int, of func(standing) string) {
	c := column{head: head, rank: rank, width: utf8.RuneCountInString(head)}
	some := false
	for _, st := range b.rows {
		text := of(st)
		some = some || text != ""
		c.cells, c.reach = append(c.cells, text), append(c.reach, "")
		c.width = max(c.width, utf8.RuneCountInString(text))
	}
	if some {
		b.columns = append(b.columns, c)
	}
}

// errors is the last column. It gives way in a narrow table only while it says that there were none.
func (b *columnBuilder) errors() {
	rank := 10
	for _, st := range b.rows {
		if st.words == "" && st.cell.Errors > 0 {
			rank = 0
		}
	}
	b.text("errors", rank, func(st standing) string {
		if st.words != "" {
			return ""
		}
		return count(st.cell.Errors)
	})
}
