package report

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/uringproxy/uringproxy/perf/result"
)

// What a terminal has when nobody asked it, and from how many columns on there is a place for ranges.
const (
	narrowWidth = 80
	wideWidth   = 200
	gap         = "  "
)

// Table writes a run for a terminal of so many columns, at least 80: a block for each scenario with a line for
// each peer, ours first. The less important columns are left out until a line fits; ranges need 200. It uses no colours
// and no control characters, also not those in the run's texts.
func Table(w io.Writer, r *result.Run, width int) {
	r = finite(r)
	t := &table{width: max(width, narrowWidth), wide: width >= wideWidth}
	t.heading(r)
	ratios := false
	for i := range r.Scenarios {
		ratios = t.scenario(r, &r.Scenarios[i]) || ratios
	}
	if own, _ := split(r); ratios {
		name := called(own[0])
		t.line("")
		t.wrap("", short(name)+"/it: what "+name+" costs divided by what that peer does, in the same round: "+
			"the median over the rounds and their range. Below 1 it is less.")
	}
	for i, note := range r.Notes {
		if i == 0 {
			t.line("")
		}
		t.wrap("note: ", plain(note))
	}
	_, _ = io.WriteString(w, t.out.String()) // a terminal that is gone needs no answer
}

// table is the text as far as it is written.
type table struct {
	out   strings.Builder
	width int
	wide  bool
}

func (t *table) line(text string) {
	t.out.WriteString(strings.TrimRight(text, " "))
	t.out.WriteByte('\n')
}

// wrap writes text in lines that fit, the second and further ones indented as far as first is wide.
func (t *table) wrap(first, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(first))
	line := first
	fresh := true
	for _, word := range strings.Fields(text) {
		if !fresh && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > t.width {
			t.line(line)
			line, fresh = indent, true
		}
		if !fresh {
			line += " "
		}
		line, fresh = line+word, false
	}
	t.line(line)
}

func (t *table) heading(r *result.Run) {
	t.wrap("", "uringproxy bench, "+occasion(r, true))
	t.wrap("", machineLine(&r.Machine))
}

// scenario writes a block, and reports whether it has a ratio in it.
func (t *table) scenario(r *result.Run, s *result.Scenario) bool {
	t.line("")
	t.wrap(plain(s.Name)+": ", plain(s.Title))
	if load := plain(s.Load); load != "" {
		t.wrap(gap, load)
	}
	rows := standings(r, s)
	columns := columnsOf(r, s, rows, t.wide)
	t.fit(&columns)
	head := ""
	for i, c := range columns {
		head += pad(c.head, c.width, i == 0) + gap
	}
	if strings.TrimSpace(head) != "" {
		t.line(head)
	}
	for i, row := range rows {
		if row.words != "" {
			t.wrap(pad(called(row.peer), columns[0].width, true)+gap, row.words)
			continue
		}
		line := ""
		for j, c := range columns {
			line += pad(c.cells[i], c.width, j == 0) + gap
		}
		t.line(line)
	}
	for _, n := range unclears(r, rows) {
		t.wrap(gap, n.Peer+": "+n.Text)
	}
	for _, c := range columns {
		if c.ratio {
			return true
		}
	}
	return false
}

// fit leaves columns out until a line has its place; those of the highest rank go first.
func (t *table) fit(columns *[]column) {
	for {
		total, worst := -len(gap), 0
		for i, c := range *columns {
			total += c.width + len(gap)
			if c.rank > (*columns)[worst].rank {
				worst = i
			}
		}
		if total <= t.width || (*columns)[worst].rank == 0 {
			return
		}
		*columns = append((*columns)[:worst:worst], (*columns)[worst+1:]...)
	}
}

// pad fills text up to a width, on its right or on its left.
func pad(text string, width int, left bool) string {
	fill := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
	if left {
		return text + fill
	}
	return fill + text
}
