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
	streamsGroup
	datagramsGroup
	servicesGroup
	groupCount
)

var groupNames = [groupCount]string{"listeners", "routes", "tcp_routes", "udp_routes", "services"}

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

// cut outlines text, which begins at an offset of the file: 0 or a header's. It ends early before a header at which
// resync says so, and does not look into pieces that known tells the unit and the length of. All offsets are those of
// the file, but for the one that known is given. There are some many pieces.
func cut(text string, base int, resync func(at int) bool, known func(text string, at int) (*unit, int),
	many int) outline {
	o := outline{lost: -1, tooDeep: -1}
	o.pieces, o.names, o.named = make([]piece, 0, many), make([]tableName, 0, many), make([]bool, 0, many)
	s := &scanner{text: text, tooDeep: -1}
	start, name, named := 0, tableName{}, false
	var u *unit
	add := func(end int) {
		if end > start {
			o.pieces = append(o.pieces, piece{start: base + start, end: base + end, unit: u})
			o.names, o.named = append(o.names, name), append(o.named, named)
		}
		start = end
	}
	preamble := base == 0
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
		if add(s.at); s.at > 0 && resync(base+s.at) {
			return o
		}
		preamble = false
		var size int
		if u, size = known(text, s.at); u != nil {
			name, named = u.tableName, true
			s.at += size
			continue
		}
		alone := false
		name, named, alone = s.tableName()
		o.whole = o.whole || alone
		s.end()
	}
	if s.tooDeep >= 0 {
		o.tooDeep = base + s.tooDeep
	}
	if s.lost {
		o.lost = base + min(s.at, len(text))
	}
	add(len(text))
	return o
}

// tableName reads a header and tells whose table it begins, or whether it is a group's own.
func (s *scanner) tableName() (name tableName, named, alone bool) {
	parts, _ := s.brackets()
	if len(parts) == 0 {
		return name, false, false
	}
	g, ok := groupOf(parts[0].name)
	if !ok || len(parts) == 1 {
		return name, false, ok
	}
	return tableName{g, parts[1].name}, true, false
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
func textOf(src *source, pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(src.slice(p.start, p.end))
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
