package routing

import (
	"strings"

	"github.com/uringproxy/uringproxy/routing/regset"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Table is a compiled set of routes. It is immutable and safe for concurrent use.
//
// A search goes from hosts to paths to tests: exact host names lie in a hash map, wildcards in a radix tree over
// reversed names, regular expressions in automata; each has a bucket of paths, a radix tree; each node of that has the
// alternatives that stand there, in their order, and an index over them where they are many.
type Table struct {
	hosts        hashMap[bucket]   // by the hash of an exact name
	wild         *node[wildcard]   // by the reversed suffix
	hostPatterns *patterns[bucket] // by the expression
	any          *bucket           // alternatives without a host
	top          int32             // greatest priority
	needs        Needs
}

// Needs says which parts of a request the rules look at.
func (t *Table) Needs() Needs { return t.needs }

// bucket is what one host pattern has.
type bucket struct {
	name  string     // of an exact host
	twin  *bucket    // of another exact host with the same hash
	paths node[spot] // the root
	root  spot       // the root's value, as long as nothing was changed
}

func (b *bucket) own(edit uint32) *bucket {
	if b == nil {
		return &bucket{paths: node[spot]{edit: edit}}
	}
	if b.paths.edit == edit {
		return b
	}
	c := *b
	c.paths, c.root = *b.paths.own(edit), spot{}
	return &c
}

// wildcard is what one suffix has.
type wildcard struct {
	star, deep *bucket
}

// at applies do to the spot where a belongs. What is empty then goes, and what does not exist yet comes.
func (b *Builder) at(a *rule.Alternative, do func(*spot)) {
	b.bucketAt(&a.Host, func(h *bucket) *bucket {
		h = h.own(b.edit)
		b.spotAt(h, &a.Path, do)
		if h.paths.empty() {
			return nil
		}
		return h
	})
}

// bucketAt replaces the bucket of a host condition by what do makes of it.
func (b *Builder) bucketAt(host *rule.Predicate, do func(*bucket) *bucket) {
	switch host.Kind {
	case rule.None:
		b.any = do(b.any)
	case rule.HostRegexp:
		if b.hostPatterns == nil {
			b.hostPatterns = &patterns[bucket]{edit: b.edit}
		}
		p := b.hostPatterns.own(b.edit)
		b.uncompiled[p] = struct{}{}
		p.set(host.Values[0], do(p.get(host.Values[0])), b.edit)
		if b.hostPatterns = p; p.empty() {
			delete(b.uncompiled, p)
			b.hostPatterns = nil
		}
	default:
		name := host.Values[0]
		if suffix, ok := strings.CutPrefix(name, deepMark); ok {
			b.wildcardAt(suffix, func(w *wildcard) { w.deep = do(w.deep) })
		} else if suffix, ok := strings.CutPrefix(name, starMark); ok {
			b.wildcardAt(suffix, func(w *wildcard) { w.star = do(w.star) })
		} else {
			b.exactAt(name, do)
		}
	}
}

func (b *Builder) wildcardAt(suffix string, do func(*wildcard)) {
	key := reverse(suffix)
	if b.wild == nil {
		b.wild = &node[wildcard]{edit: b.edit}
	}
	b.wild = b.wild.own(b.edit)
	at := b.wild.grow(key, b.edit)
	var w wildcard
	if at.value != nil {
		w = *at.value
	}
	do(&w)
	if w != (wildcard{}) {
		at.value = &w
		return
	}
	at.value = nil
	if b.wild.prune(key, b.edit); b.wild.empty() {
		b.wild = nil
	}
}

func reverse(s string) string {
	r := make([]byte, len(s))
	for i := range len(s) {
		r[len(s)-1-i] = s[i]
	}
	return string(r)
}

// exactAt replaces the bucket of an exact name, in the chain of those that have its hash.
func (b *Builder) exactAt(name string, do func(*bucket) *bucket) {
	h := textHash(name)
	var others, own *bucket
	for x := b.hosts.find(h); x != nil; x = x.twin {
		if x.name == name {
			own = x
			continue
		}
		c := *x
		c.twin = others
		others = &c
	}
	if own = do(own); own == nil {
		b.hosts.set(h, others, b.edit)
		return
	}
	own.name, own.twin = name, others
	b.hosts.set(h, own, b.edit)
}

// spotAt applies do to the spot of a path condition. An expression stands at the node of the text that all of its paths
// begin with.
func (b *Builder) spotAt(h *bucket, path *rule.Predicate, do func(*spot)) {
	key := ""
	switch path.Kind {
	case rule.None:
	case rule.PathRegexp:
		key = regset.Prefix(path.Values[0])
	default:
		key = path.Values[0]
	}
	at := h.paths.grow(key, b.edit)
	if key == "" && at.value == nil {
		at.value = &h.root
	}
	at.value = at.value.own(b.edit)
	if path.Kind == rule.PathRegexp {
		at.value.change(b, path.Values[0], do)
	} else {
		do(at.value)
	}
	if at.value.empty() {
		at.value = nil
		h.paths.prune(key, b.edit)
	}
}
