package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// edit is a step from one list of units to the next: what is at an index goes, or something comes before it, or both.
type edit struct {
	at   int
	drop bool
	add  *unit
	name string
}

// merge works out the lists of all named tables, and finds names that two files have.
func (g *loading) merge() {
	for _, r := range g.revs {
		for _, c := range r.changes {
			e := edit{drop: c.old != nil, add: c.unit, name: c.name}
			e.at, _ = slices.BinarySearchFunc(g.last.units[c.group], c.name, compareName)
			g.edits[c.group] = append(g.edits[c.group], e)
		}
	}
	for i, edits := range g.edits {
		slices.SortStableFunc(edits, func(a, b edit) int {
			return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name))
		})
		g.next.units[i] = apply(g.last.units[i], edits, func(u *unit) *unit { return u })
		g.sameNames(g.next.units[i], edits)
	}
}

// apply makes the next list of the last one, which it leaves alone.
func apply[T any](list []T, edits []edit, value func(*unit) T) []T {
	if len(edits) == 0 {
		return list
	}
	next := make([]T, 0, len(list)+len(edits))
	from := 0
	for _, e := range edits {
		if e.at > from {
			next = append(next, list[from:e.at]...)
			from = e.at
		}
		if e.drop {
			from = e.at + 1
		}
		if e.add != nil {
			next = append(next, value(e.add))
		}
	}
	return append(next, list[from:]...)
}

// sameNames finds new units that share their name with another file's.
func (g *loading) sameNames(units []*unit, edits []edit) {
	if len(g.next.files) < 2 {
		return
	}
	done := ""
	for _, e := range edits {
		if e.add == nil || e.name == done {
			continue
		}
		first, _ := slices.BinarySearchFunc(units, e.name, compareName)
		end := first + 1
		for end < len(units) && units[end].name == e.name {
			end++
		}
		if end-first < 2 {
			continue
		}
		done = e.name
		same := slices.SortedFunc(slices.Values(units[first:end]), func(a, b *unit) int {
			return cmp.Compare(slices.Index(g.files, a.file), slices.Index(g.files, b.file))
		})
		for _, u := range same[1:] {
			g.twice(u.path(), g.next.locate(same[0]), g.next.locate(u))
		}
	}
}

// twice notes that two files define a key.
func (g *loading) twice(path string, first, second *locator) {
	g.in = []*locator{first}
	d := decoder{in: g.in}
	d.atKey(path, "", "", "")
	there := d.finish(nil)[0]
	g.in = []*locator{second}
	g.atKey(path, "a second definition of the same key", "each key and each table in one file",
		fmt.Sprintf("the first is at %s:%d", there.File, there.Line))
}

// mergeRest joins what the files have beside named tables.
func (g *loading) mergeRest() map[string]any {
	if len(g.next.files) == 1 {
		return g.next.files[0].rest
	}
	root, owner := map[string]any{}, map[string]*document{}
	for _, d := range g.next.files {
		g.mergeInto(root, d.rest, "", d, owner)
	}
	return root
}

// mergeInto joins a table of d with what others before it have at the same path. owner has the file of each key.
func (g *loading) mergeInto(to, from map[string]any, path string, d *document, owner map[string]*document) {
	for _, key := range keys(from) {
		at := child(path, key)
		there, taken := to[key]
		theirs, both := there.(map[string]any)
		ours, isTable := from[key].(map[string]any)
		switch {
		case !taken && isTable:
			to[key] = map[string]any{}
			owner[at] = d
			g.mergeInto(to[key].(map[string]any), ours, at, d, owner)
		case !taken:
			to[key], owner[at] = from[key], d
		case both && isTable:
			g.mergeInto(theirs, ours, at, d, owner)
		default:
			all := g.in
			g.twice(at, owner[at].locate(nil), d.locate(nil))
			g.in = all
		}
	}
}
