package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/uringproxy/uringproxy/perf/result"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what page.html is filled in with: text and numbers that are ready to be shown.
type page struct {
	Style      template.CSS
	Script     template.JS
	ScriptHash string // the only script that a browser may run in the page

	Title     string
	Occasion  string
	Summary   []string
	Tiles     []tile
	TilesOf   string // which scenario the tiles are of
	Glance    glance
	Scenarios []section
	Machine   []fact
	Peers     []participant
	Command   string
	Notes     []string
	Configs   []config
}

// fact is a line of a list of properties.
type fact struct{ Name, Value string }

// participant is a peer in the list of all.
type participant struct {
	Name, Version, Program, Class string
	Ours                          bool
}

// section is one scenario.
type section struct {
	ID, Name, Title, Load string
	Sentence              string
	Bars                  []barChart
	Curves                []curve // the same one for wide and for narrow screens; none when there is nothing to draw
	Columns               []string
	Rows                  []figures
	Legend                string // of the columns
	Notes                 []note
	Rounds                []roundLine
	RoundCost             string // the head of the column of costs
}

// figures is a line of a scenario's table.
type figures struct {
	Name, Class string
	Ours        bool
	Words       string // in the place of the cells
	Cells       []cell
}

// cell is a figure and its range.
type cell struct{ Middle, Reach string }

// note is what there is to say about a peer.
type note struct{ Peer, Text string }

// roundLine is one round in the list of all.
type roundLine struct {
	Peer, Round, Requests, Errors, Seconds, CPU, Cost, P99, Foreign, LoadBusy string
}

// HTML writes a run as one page that refers to nothing outside of itself and can be read without scripts. Whatever is
// in the run's texts appears as text.
func HTML(w io.Writer, r *result.Run) error {
	var b bytes.Buffer // a page is whole or not at all
	if err := pageTemplate.Execute(&b, pageOf(finite(r))); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

func pageOf(r *result.Run) *page {
	sum := sha256.Sum256([]byte(pageScript))
	looks := looksOf(r)
	p := &page{
		Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		Title:      title(r), Occasion: occasion(r, false), Summary: summary(r), Command: printable(r.Command),
		Machine: machineFacts(r), Configs: configsOf(r),
	}
	p.Tiles, p.TilesOf = tiles(r)
	p.Glance = glanceOf(r, looks)
	for i := range r.Scenarios {
		p.Scenarios = append(p.Scenarios, sectionOf(r, &r.Scenarios[i], i, looks))
	}
	for _, peer := range participants(r) {
		p.Peers = append(p.Peers, participant{Name: called(peer), Version: plain(peer.Version),
			Program: plain(peer.Program), Class: looks[peer.Name].class, Ours: peer.Ours})
	}
	for _, n := range r.Notes {
		p.Notes = append(p.Notes, plain(n))
	}
	return p
}

func sectionOf(r *result.Run, s *result.Scenario, index int, looks map[string]look) section {
	rows := standings(r, s)
	sec := section{
		ID: fmt.Sprintf("s%d", index+1), Name: plain(s.Name), Title: plain(s.Title), Load: plain(s.Load),
		Sentence: sentence(r, s, rows), Bars: barCharts(s, rows, looks), RoundCost: costOf(s.Unit).head,
	}
	sec.Curves = curvesOf(sec.ID, rows, looks)
	sec.fill(columnsOf(r, s, rows, false), rows, looks)
	sec.Notes, sec.Legend = append(unclears(r, rows), notesOf(rows)...), legend(r, sec.Columns)
	for _, st := range rows {
		sec.Rounds = append(sec.Rounds, roundLines(&st)...)
	}
	return sec
}

// fill makes the table of figures.
func (sec *section) fill(columns []column, rows []standing, looks map[string]look) {
	for _, c := range columns[min(1, len(columns)):] {
		sec.Columns = append(sec.Columns, c.head)
	}
	for i, st := range rows {
		line := figures{Name: called(st.peer), Class: looks[st.peer.Name].class, Ours: st.peer.Ours, Words: st.words}
		for _, c := range columns[min(1, len(columns)):] {
			if st.words != "" {
				break
			}
			middle, _, _ := strings.Cut(c.cells[i], " (")
			line.Cells = append(line.Cells, cell{middle, c.reach[i]})
		}
		sec.Rows = append(sec.Rows, line)
	}
}

// roundLines are a peer's rounds, unless they may not be quoted.
func roundLines(st *standing) []roundLine {
	if st.words != "" {
		return nil
	}
	var lines []roundLine
	for i, r := range st.cell.Rounds {
		lines = append(lines, roundLine{
			Peer: called(st.peer), Round: count(i + 1), Requests: count(r.Requests), Errors: count(r.Errors),
			Seconds: known(r.Seconds), CPU: known(r.CPU), Cost: known(r.Cost), P99: known(r.P99),
			Foreign: percent(r.Foreign), LoadBusy: percent(r.LoadBusy),
		})
	}
	return lines
}

// notesOf say by peer what went wrong and what else was found out, where the table has no place for it.
func notesOf(rows []standing) []note {
	var notes []note
	for _, st := range rows {
		name := called(st.peer)
		if first := firstSample(&st.cell); first != "" {
			notes = append(notes, note{name, "the first error: " + first})
		}
		for _, n := range st.cell.Notes {
			notes = append(notes, note{name, plain(n)})
		}
	}
	return notes
}

func firstSample(c *result.Cell) string {
	for _, r := range c.Rounds {
		for _, s := range r.Samples {
			if s = plain(s); s != "" {
				return s
			}
		}
	}
	return ""
}
