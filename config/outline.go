package config

import (
	"slices"
	"strings"
)

// group is a kind of named tables: [routes.NAME] and so on.
type group uint8

const (
	listenersGroup group = iota
	routesGroup
	servicesGroup
	groupCount
)

var groupNames = [groupCount]string{"listeners", "routes", "services"}

// groupOf finds the group that a table's first part names.
func groupOf(name string) (group, bool) {
	i := slices.Index(groupNames[:], name)
	return group(max(i, 0)), i >= 0
}

// tableName is what a named table is known by.
type tableName struct {
	group group
	name  string
}

func (n tableName) path() string { return Path(groupNames[n.group], n.name) }

// tableOf tells in which named table the key at a path is.
func tableOf(path string) (n tableName, ok bool) {
	for parent(parent(path)) != "" {
		path = parent(path)
	}
	first, rest, _ := strings.Cut(path, ".")
	if n.group, ok = groupOf(first); !ok || rest == "" {
		return n, false
	}
	if n.name = rest; !bare(rest) {
		n.name = unquoteKey(rest)
	}
	return n, true
}

// piece is a part of a file from one table header to the next. Comments before a header belong to the piece before.
type piece struct {
	start, end int
	// unit is the named table that the piece belongs to; nil for all that is not in one.
	unit *unit
}

// outline is a text cut at its table headers.
type outline struct {
	pieces []piece
	names  []tableName // of each piece's table
	named  []bool      // whether it has one
	// lost is where the scanner could go no further, so that the last piece reaches to the end of the text; or -1.
	lost int
	// tooDeep is where maxDepth was passed, or -1.
	tooDeep int
	// whole tells that the text has forms that spread a named table, or all of a group, over other places.
	whole bool
}

// cut outlines text from an offset on, which is 0 or a header's. It ends early before a header at which resync says
// so.
func cut(text string, from int, resync func(at int) bool) outline {
	o := outline{lost: -1, tooDeep: -1}
	s := &scanner{text: text, at: from, tooDeep: -1}
	start, name, named := from, tableName{}, false
	add := func(end int) {
		if end > start {
			o.pieces = append(o.pieces, piece{start: start, end: end})
			o.names, o.named = append(o.names, name), append(o.named, named)
		}
		start = end
	}
	preamble := from == 0
	for !s.lost {
		s.skip(" \t\r\n")
		if s.at == len(text) {
			break
		}
		if s.peek() != '[' {
			begin := s.at
			s.pair("", 0)
			o.whole = o.whole || preamble && s.inGroup(begin)
			s.end()
			continue
		}
		if add(s.at); s.at > from && resync(s.at) {
			return o
		}
		preamble = false
		parts, _ := s.brackets()
		if named = len(parts) > 1; named {
			if name.group, named = groupOf(parts[0].name); named {
				name.name = parts[1].name
			}
		} else if len(parts) == 1 {
			_, group := groupOf(parts[0].name)
			o.whole = o.whole || group
		}
		s.end()
	}
	if o.tooDeep = s.tooDeep; s.lost {
		o.lost = min(s.at, len(text))
	}
	add(len(text))
	return o
}

// inGroup tells whether the key at an offset is that of a group.
func (s *scanner) inGroup(at int) bool {
	k := scanner{text: s.text, at: at}
	parts := k.key()
	if len(parts) == 0 {
		return false
	}
	_, in := groupOf(parts[0].name)
	return in
}

// textOf is what pieces hold, in memory of its own: what the library makes of it must not keep all of the file's text.
func textOf(text string, pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(text[p.start:p.end])
	}
	return b.String()
}

// offsetIn translates an offset in what textOf returns into one in the text.
func offsetIn(pieces []piece, at int) int {
	for i, p := range pieces {
		if n := p.end - p.start; at < n || i == len(pieces)-1 {
			return p.start + min(at, n)
		} else {
			at -= n
		}
	}
	return 0
}

// commonEnds measures how many bytes two texts have in common at the beginning and at the end, without counting any
// byte twice.
func commonEnds(a, b string) (before, after int) {
	const block = 4096
	n := min(len(a), len(b))
	for before+block <= n && a[before:before+block] == b[before:before+block] {
		before += block
	}
	for before < n && a[before] == b[before] {
		before++
	}
	n -= before
	for after+block <= n && a[len(a)-after-block:len(a)-after] == b[len(b)-after-block:len(b)-after] {
		after += block
	}
	for after < n && a[len(a)-after-1] == b[len(b)-after-1] {
		after++
	}
	return before, after
}
