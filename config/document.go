package config

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// unit is one named table of one file, and what it was decoded to. It is immutable once it was decoded.
type unit struct {
	tableName
	file   string
	pieces int // of the file that it is made of
	value  any // *Listener, *Route or *Service
}

// document is a file as it was read. It is immutable.
type document struct {
	src    *source
	pieces []piece
	// rest is what stands in no named table, as the library reads it.
	rest map[string]any
	// all is there for a file that cannot be cut: its places and its units.
	all   *locator
	units []*unit
}

// each calls do for each unit, at least once.
func (d *document) each(do func(*unit)) {
	for _, p := range d.pieces {
		if p.unit != nil {
			do(p.unit)
		}
	}
	for _, u := range d.units {
		do(u)
	}
}

// unit finds a named table.
func (d *document) unit(name tableName) (found *unit) {
	d.each(func(u *unit) {
		if u.tableName == name {
			found = u
		}
	})
	return found
}

// locate says where the keys of a named table are, or those of the rest when u is nil.
func (d *document) locate(u *unit) *locator {
	if d.all != nil {
		return d.all
	}
	return &locator{doc: d, unit: u}
}

// locator finds the places of a table's keys. It scans the table's pieces when it is first asked.
type locator struct {
	doc    *document
	unit   *unit
	pieces []piece // nil: to be looked for
	once   sync.Once
	places index
}

func (l *locator) find(path string) (p place, depth int) {
	l.once.Do(func() {
		s := newScanner(l.doc.src.text())
		for _, p := range l.parts() {
			s.run(p.start, p.end)
		}
		l.places = s.places
	})
	return l.places.find(path)
}

// has tells whether there is such a key.
func (l *locator) has(path string) bool {
	_, n := l.find(path)
	return n == len(path)
}

func (l *locator) parts() []piece {
	if l.pieces == nil {
		for _, p := range l.doc.pieces {
			if p.unit == l.unit {
				l.pieces = append(l.pieces, p)
			}
		}
	}
	return l.pieces
}

// change is a named table that is new, gone, or not what it was.
type change struct {
	tableName
	old, unit *unit // nil: it was not there before, it is no more
	was, now  []piece
	raw       any // what the library made of it, for a file that cannot be cut
}

// revision is a document, and how it differs from what the file was before.
type revision struct {
	doc     *document // nil: the file is gone
	changes []*change // in the order of the file
	byName  map[tableName]*change
	rest    bool // whether what is in no named table may have changed
	lost    int  // as in outline
	breath  *breath.Breath
}

func (r *revision) change(name tableName) *change {
	c, ok := r.byName[name]
	if !ok {
		name.name = strings.Clone(name.name)
		c = &change{tableName: name}
		r.byName[name] = c
		r.changes = append(r.changes, c)
	}
	return c
}

// finder looks a named table up among those of the last configuration.
type finder func(tableName) *unit

// revise reads src as the successor of old, which may be nil. find tells the units that old's file had.
func revise(old *document, in revised, find finder) (*revision, *Fault) {
	src := in.source
	if old != nil && old.all == nil && len(old.pieces) > 0 && in.since == old.src {
		if r := old.edit(in, find); r != nil {
			return r, nil
		}
	}
	if f, bad := junk(src, 0, src.text()); bad {
		return nil, &f
	}
	o := cut(src.text(), 0, func(int) bool { return false }, nothing, 0)
	if o.tooDeep >= 0 {
		f := src.fault(o.tooDeep, "", tooDeepText, "a flatter structure", "")
		return nil, &f
	}
	if o.whole {
		return reviseWhole(old, src, find)
	}
	r := &revision{byName: map[tableName]*change{}, lost: o.lost, rest: true}
	if old == nil {
		old = &document{src: newSource("", "")}
	}
	for _, u := range old.units {
		r.change(u.tableName).old = u
	}
	r.assemble(old, src, seam{end: len(old.pieces)}, o, find)
	return r, nil
}

// seam says which pieces of the old text gave way to others, and how far those after them have moved. Among them, those
// that were only moved are kept.
type seam struct {
	start, end, shift int
	kept              []bool // by the index of a piece; nil: none
}

func (s *seam) keeps(i int) bool { return i < len(s.kept) && s.kept[i] }

// window is how much of a text after a change is looked at first, to find where it is as it was.
const window = 16 << 10

// edit reads a text by looking only at what differs from d. It returns nil when that does not do.
func (d *document) edit(in revised, find finder) *revision {
	if r, unclear := d.follow(in, find, true); !unclear {
		return r
	}
	r, _ := d.follow(in, find, false)
	return r
}

// follow is edit. With skip, it does not look into tables that were only moved by what stands before them; unclear says
// that this does not do.
func (d *document) follow(in revised, find finder, skip bool) (r *revision, unclear bool) {
	byStart := func(p piece, at int) int { return cmp.Compare(p.start, at) }
	first, _ := slices.BinarySearchFunc(d.pieces, in.first, byStart)
	s := seam{start: max(first-1, 0), end: len(d.pieces), shift: in.size - d.src.size}
	from, same := d.pieces[s.start].start, in.size-in.last
	t := trail{doc: d, next: s.start}
	known, many := nothing, 0
	if skip {
		known, many = t.known, s.end-s.start
	}
	var text string
	var o outline
	for more := window; ; more *= 8 {
		to := min(same+more, in.size)
		t.begin(s.start, to == in.size)
		text = in.slice(from, to)
		met := false
		o = cut(text, from, func(at int) bool {
			in.breath.Draw()
			if at < same {
				return false
			}
			i, found := slices.BinarySearchFunc(d.pieces, at-s.shift, byStart)
			if met = found && i > s.start; met {
				s.end = i
			}
			return met
		}, known, many)
		if met || to == in.size {
			break
		}
	}
	if len(o.pieces) == 0 || o.whole || o.lost >= 0 || o.tooDeep >= 0 {
		return nil, false
	}
	if _, bad := junk(in.source, from, text[:o.pieces[len(o.pieces)-1].end-from]); bad {
		return nil, false
	}
	if t.next > s.end {
		return nil, true // a table stands twice, once before the place that it was found at
	}
	if skip {
		s.kept = t.kept
	}
	r = &revision{byName: map[tableName]*change{}, lost: -1, breath: in.breath}
	return r, !r.assemble(d, in.source, s, o, find)
}

// trail follows the pieces of an older document through a text in which some were added or taken out.
type trail struct {
	doc  *document
	next int    // the piece that is expected
	kept []bool // those that were found
	all  bool   // the text reaches to the end of the file
}

// ahead is how many pieces that were taken out one after the other a trail passes over.
const ahead = 8

func (t *trail) begin(at int, all bool) {
	t.next, t.all = at, all
	t.kept = slices.Grow(t.kept[:0], len(t.doc.pieces))[:len(t.doc.pieces)]
	clear(t.kept)
}

// known finds the piece that begins at an offset of text, if it is a whole table that is as it was, and followed by a
// header as it was.
func (t *trail) known(text string, at int) (*unit, int) {
	for i := t.next; i < min(t.next+ahead, len(t.doc.pieces)); i++ {
		p := t.doc.pieces[i]
		size := p.end - p.start
		if p.unit == nil || p.unit.pieces != 1 || size > len(text)-at || text[at+size-1] != '\n' {
			continue
		}
		if end := at + size; end == len(text) && !t.all || end < len(text) && text[end] != '[' {
			continue
		}
		if t.doc.src.has(p.start, text[at:at+size]) {
			t.next, t.kept[i] = i+1, true
			return p.unit, size
		}
	}
	return nil, 0
}

// nothing is for a text of which no piece is known.
func nothing(string, int) (*unit, int) { return nil, 0 }

// assemble joins the pieces that stay with those of o, and finds out which tables are not what they were. It reports
// false when one of them has a piece among those that are kept, too.
func (r *revision) assemble(old *document, src *source, s seam, o outline, find finder) bool {
	counts := map[*unit]int{}
	for i, p := range old.pieces[s.start:s.end] {
		r.breath.Every(i)
		if s.keeps(s.start + i) {
			continue
		}
		if p.unit == nil {
			r.rest = true
			continue
		}
		r.change(p.unit.tableName).old = p.unit
		counts[p.unit]++
	}
	for i, name := range o.names {
		r.breath.Every(i)
		if o.pieces[i].unit != nil {
			continue
		}
		if !o.named[i] {
			r.rest = true
		} else if c := r.change(name); c.old == nil {
			c.old = find(name)
		}
	}
	outside := map[*unit]*change{}
	for _, c := range r.changes {
		if c.old != nil && c.old.pieces > counts[c.old] {
			outside[c.old] = c
		}
	}
	if len(outside) > 0 && s.kept != nil {
		return false
	}
	r.collect(old, s, &o, outside)
	r.settle(old, src)
	r.doc = &document{src: src, pieces: r.join(old, s, &o, outside), rest: old.rest}
	return true
}

// collect gathers for each change the pieces that its table had and has.
func (r *revision) collect(old *document, s seam, o *outline, outside map[*unit]*change) {
	stay := func(pieces []piece, shift int) {
		if len(outside) == 0 {
			return
		}
		for _, p := range pieces {
			if c := outside[p.unit]; c != nil {
				c.was = append(c.was, p)
				c.now = append(c.now, piece{start: p.start + shift, end: p.end + shift})
			}
		}
	}
	stay(old.pieces[:s.start], 0)
	region := old.pieces[s.start:s.end]
	for i, p := range region {
		r.breath.Every(i)
		if p.unit != nil && !s.keeps(s.start+i) {
			c := r.byName[p.unit.tableName]
			c.was = extend(c.was, region, i)
		}
	}
	for i, name := range o.names {
		r.breath.Every(i)
		if o.named[i] && o.pieces[i].unit == nil {
			c := r.byName[name]
			c.now = extend(c.now, o.pieces, i)
		}
	}
	stay(old.pieces[s.end:], s.shift)
}

// extend appends from[i], without allocating for the first.
func extend(to, from []piece, i int) []piece {
	if to == nil {
		return from[i : i+1 : i+1]
	}
	return append(to, from[i])
}

// settle leaves the changes that are some, and makes their units.
func (r *revision) settle(old *document, src *source) {
	r.changes = slices.DeleteFunc(r.changes, func(c *change) bool {
		if c.old != nil && sameText(old.src, c.was, src, c.now) {
			c.unit = c.old
			return true
		}
		if len(c.now) > 0 {
			c.unit = &unit{tableName: c.tableName, file: src.name, pieces: len(c.now)}
		}
		return false
	})
}

func sameText(a *source, was []piece, b *source, now []piece) bool {
	return len(was) == len(now) && len(was) > 0 && slices.EqualFunc(was, now, func(p, q piece) bool {
		return a.slice(p.start, p.end) == b.slice(q.start, q.end)
	})
}

// join makes the list of all pieces.
func (r *revision) join(old *document, s seam, o *outline, outside map[*unit]*change) []piece {
	all := make([]piece, 0, s.start+len(o.pieces)+len(old.pieces)-s.end)
	all = append(all, old.pieces[:s.start]...)
	for i, p := range o.pieces {
		r.breath.Every(i)
		if o.named[i] && p.unit == nil {
			p.unit = r.byName[o.names[i]].unit
		}
		all = append(all, p)
	}
	for i, p := range old.pieces[s.end:] {
		r.breath.Every(i)
		all = append(all, piece{p.start + s.shift, p.end + s.shift, p.unit})
	}
	if len(outside) > 0 {
		for i, p := range all {
			if c := outside[p.unit]; c != nil {
				all[i].unit = c.unit
			}
		}
	}
	return all
}

// reviseWhole has the library read all of the file.
func reviseWhole(old *document, src *source, find finder) (*revision, *Fault) {
	if src.size > maxWhole {
		f := src.fault(-1, "", "more than "+formatSize(maxWhole)+" that cannot be read table by table",
			"a header for each table, such as [routes.NAME]", "leave out inline tables and dotted keys of "+
				"listeners, routes and services, or divide the file")
		return nil, &f
	}
	root, fault := parseTOML(src)
	if fault != nil {
		return nil, fault
	}
	r := &revision{byName: map[tableName]*change{}, lost: -1}
	r.doc = &document{src: src, rest: map[string]any{}}
	r.doc.all = &locator{doc: r.doc, pieces: []piece{{end: src.size}}}
	for _, key := range keys(root) {
		g, isGroup := groupOf(key)
		tables, isTable := root[key].(map[string]any)
		if !isGroup || !isTable || len(tables) == 0 {
			r.doc.rest[key] = root[key]
			continue
		}
		for _, name := range keys(tables) {
			c := r.change(tableName{g, name})
			c.old, c.raw = find(c.tableName), tables[name]
			c.unit = &unit{tableName: c.tableName, file: src.name}
			r.doc.units = append(r.doc.units, c.unit)
		}
	}
	if old != nil {
		old.each(func(u *unit) { r.change(u.tableName).old = u })
	}
	return r, nil
}

// gone is the revision of a file that is no longer read.
func gone(old *document) *revision {
	r := &revision{byName: map[tableName]*change{}, lost: -1}
	old.each(func(u *unit) { r.change(u.tableName).old = u })
	return r
}

var errTooLarge = errors.New("more than " + formatSize(maxWhole) + " in one table")

// read reads a table, by the library unless it is a simple one.
func (r *revision) read(pieces []piece) (root map[string]any, err error) {
	size := 0
	for _, p := range pieces {
		if size += p.end - p.start; r.lost > p.start && r.lost < p.end {
			size -= p.end - r.lost
		}
	}
	if size > maxWhole {
		return nil, errTooLarge
	}
	text := textOf(r.doc.src, pieces)
	if root, ok := simple(text); ok {
		return root, nil
	}
	_, err = decodeTOML(text, &root)
	return root, err
}

// firstError finds the first place that is not TOML, among what changed from an index on: that is where the library
// would stop if it read all of the file.
func (r *revision) firstError(from int) Fault {
	at, first := r.doc.src.size+1, error(nil)
	check := func(pieces []piece) {
		if len(pieces) == 0 || pieces[0].start > at {
			return
		}
		if _, err := r.read(pieces); err != nil {
			n, _ := errorOffset(err)
			if n = offsetIn(pieces, n); n < at {
				at, first = n, err
			}
		}
	}
	check(r.doc.locate(nil).parts())
	for _, c := range r.changes[from:] {
		check(c.now)
	}
	if errors.Is(first, errTooLarge) {
		return r.doc.src.fault(at, "", first.Error(), "smaller tables",
			"is there a string or a list that does not end?")
	}
	return syntaxFault(r.doc.src, at, first)
}
