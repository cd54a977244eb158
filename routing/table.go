package routing

import (
	"strings"

	"github.com/uringproxy/uringproxy/routing/regset"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Table is a compiled set of routes. It is immutable and safe for concurrent use.
//
// A search goes from hosts to paths to tests. Exact host names and the suffixes of wildcards lie in dictionaries,
// regular expressions in automata; each has a bucket of paths: whole segments lie in a dictionary again, what may end
// within a segment in a radix tree. Each of these places has the alternatives that stand there, in their order, and
// an index over them where they are many.
type Table struct {
	hosts        dict[bucket]      // by exact name
	stars, deeps wildcards         // by what stands behind "*." and "**."
	hostPatterns *patterns[bucket] // by the expression
	any          *bucket           // alternatives without a host
	top          int32             // greatest priority
	needs        Needs
}

// Needs says which parts of a request the rules look at.
func (t *Table) Needs() Needs { return t.needs &^ needHello }

// LooksAtHello reports whether a rule of a table of a stream builder looks at the ClientHello, so that one has to be
// awaited before MatchHello is asked.
func (t *Table) LooksAtHello() bool { return t.needs&(needHello|NeedTLS) != 0 }

// bucket is what one host pattern has.
type bucket struct {
	root     spot        // alternatives without a path
	segments dict[spot]  // by a path or prefix of whole segments
	slashes  uint64      // of those: bit n, if some have n slashes
	tree     *node[spot] // raw prefixes, and expressions by the text that all of their paths begin with
	edit     uint32
}

// claim makes b, which may be a copy, belong to edit.
func (b *bucket) claim(edit uint32) {
	if b.edit != edit {
		b.edit = edit
		b.root.claim(edit)
	}
}

func (b *bucket) own(edit uint32) *bucket {
	if b == nil {
		b = new(bucket)
	} else if b.edit != edit {
		c := *b
		b = &c
	}
	b.claim(edit)
	return b
}

func (b *bucket) empty() bool { return b.root.empty() && b.segments.count == 0 && b.tree == nil }

// wildcards are the buckets of one kind of wildcard.
type wildcards struct {
	dict[bucket]
	labels uint64 // bit n, if some suffixes have n labels
}

func (w *wildcards) change(suffix string, edit uint32, do func(*bucket) bool) {
	w.labels |= bit(strings.Count(suffix, ".") + 1)
	if w.dict.change(nameHash(suffix), suffix, edit, do); w.count == 0 {
		w.labels = 0
	}
}

// bit is the place of n in a set of small numbers; those from 63 on share one.
func bit(n int) uint64 { return 1 << min(n, 63) }

// at applies do to the spot where a belongs. What is empty then goes, and what does not exist yet comes.
func (b *Builder) at(a *rule.Alternative, do func(*spot)) {
	change := func(h *bucket) bool {
		h.claim(b.edit)
		b.spotAt(h, &a.Path, do)
		return !h.empty()
	}
	replace := func(h *bucket) *bucket {
		if h = h.own(b.edit); change(h) {
			return h
		}
		return nil
	}
	switch a.Host.Kind {
	case rule.None:
		b.any = replace(b.any)
	case rule.HostRegexp:
		b.hostPatternAt(a.Host.Values[0], replace)
	default:
		name := a.Host.Values[0]
		if suffix, ok := strings.CutPrefix(name, deepMark); ok {
			b.deeps.change(suffix, b.edit, change)
		} else if suffix, ok := strings.CutPrefix(name, starMark); ok {
			b.stars.change(suffix, b.edit, change)
		} else {
			b.hosts.change(nameHash(name), name, b.edit, change)
		}
	}
}

func (b *Builder) hostPatternAt(text string, replace func(*bucket) *bucket) {
	if b.hostPatterns == nil {
		b.hostPatterns = &patterns[bucket]{edit: b.edit}
	}
	p := b.hostPatterns.own(b.edit)
	b.uncompiled[p] = struct{}{}
	p.set(text, replace(p.get(text)), b.edit)
	if b.hostPatterns = p; p.empty() {
		delete(b.uncompiled, p)
		b.hostPatterns = nil
	}
}

// spotAt applies do to the spot of a path condition.
func (b *Builder) spotAt(h *bucket, path *rule.Predicate, do func(*spot)) {
	switch path.Kind {
	case rule.None:
		do(&h.root)
	case rule.Path, rule.PathPrefix:
		text := path.Values[0]
		h.slashes |= bit(strings.Count(text, "/"))
		h.segments.change(textHash(text), text, b.edit, func(s *spot) bool {
			s.claim(b.edit)
			do(s)
			return !s.empty()
		})
		if h.segments.count == 0 {
			h.slashes = 0
		}
	case rule.PathPrefixRaw:
		b.branchAt(h, path.Values[0], do)
	case rule.PathRegexp:
		text := path.Values[0]
		b.branchAt(h, regset.Prefix(text), func(s *spot) { s.change(b, text, do) })
	}
}

// branchAt applies do to the spot of a text in h's tree.
func (b *Builder) branchAt(h *bucket, text string, do func(*spot)) {
	if h.tree == nil {
		h.tree = &node[spot]{edit: b.edit}
	}
	h.tree = h.tree.own(b.edit)
	at := h.tree.grow(text, b.edit)
	at.value = at.value.own(b.edit)
	if do(at.value); at.value.empty() {
		at.value = nil
		if h.tree.prune(text, b.edit); h.tree.empty() {
			h.tree = nil
		}
	}
}
