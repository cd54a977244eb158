package certs

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// Set finds certificates by name. It is immutable, and any goroutine may use it at any time.
type Set struct {
	list     []*Certificate // without duplicates, the fallback among them
	fallback Entry
	warnings []string

	// An open table: slots holds for each name, at the place that its hash says or behind it, the upper half of the
	// hash and the number of its node, plus one; a slot of zero ends a search. Wildcards are in it by what follows the
	// star, ".example.com", which is no name that anybody asks for.
	seed  maphash.Seed
	mask  uint64
	slots []slot
	nodes []node
}

type slot struct {
	tag    uint32
	number uint32
}

type node struct {
	name  string // shared with the certificate's Names
	entry Entry
}

// NewSet makes a set of the certificates in a list. Default yields fallback, which need not be in the list; nil: there
// is no default. Of two certificates of the same kind for a name, one that is valid now goes before one that is not
// yet, then the one that expires later; Warnings names the other. It takes about a quarter of a microsecond a name.
func NewSet(list []*Certificate, fallback *Certificate) *Set { return newSet(list, fallback, nil) }

// Set is NewSet with the store's pauses for the shards.
func (s *Store) Set(list []*Certificate, fallback *Certificate) *Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newSet(list, fallback, s.Breath)
}

func newSet(list []*Certificate, fallback *Certificate, pauses *breath.Breath) *Set {
	b := &builder{set: &Set{seed: maphash.MakeSeed()}, now: time.Now(), lost: map[*Certificate]*loss{}}
	b.reserve(list)
	seen := make(map[*Certificate]bool, len(list)+1)
	names := 0
	for _, c := range list {
		if seen[c] {
			continue
		}
		seen[c] = true
		b.set.list = append(b.set.list, c)
		for _, name := range c.Names {
			pauses.Every(names)
			names++
			b.add(name, c)
		}
	}
	if fallback != nil {
		b.fallBack(fallback, seen[fallback])
	}
	b.set.warnings = b.report()
	return b.set
}

// Find looks up a name as a client gives it, in lower case: first the name itself, then a wildcard in the place of its
// first label. An address is found by its text.
func (s *Set) Find(name []byte) (e Entry, ok bool) {
	if len(name) == 0 || name[0] == '.' {
		return Entry{}, false
	}
	if n := s.lookup(name); n != nil {
		return n.entry, true
	}
	if dot := bytes.IndexByte(name, '.'); dot > 0 {
		if n := s.lookup(name[dot:]); n != nil {
			return n.entry, true
		}
	}
	return Entry{}, false
}

// lookup finds the node of a name, or of the rest of a wildcard; nil when there is none.
func (s *Set) lookup(name []byte) *node {
	hash := maphash.Bytes(s.seed, name)
	tag := uint32(hash >> 32)
	for i := hash & s.mask; s.slots[i].number != 0; i = (i + 1) & s.mask {
		if s.slots[i].tag != tag {
			continue
		}
		if n := &s.nodes[s.slots[i].number-1]; n.name == string(name) {
			return n
		}
	}
	return nil
}

// Default is what is shown to who asks for no name, or for one that is not there: the fallback, and beside it
// certificates of other kinds that are there for the first of its names. Not ok: there is no fallback.
func (s *Set) Default() (e Entry, ok bool) { return s.fallback, s.fallback != Entry{} }

// All yields each certificate once, in the order of the list, the fallback last if it was not in it.
func (s *Set) All() iter.Seq[*Certificate] { return slices.Values(s.list) }

// Len is how many certificates there are, and how many names.
func (s *Set) Len() (certificates, names int) { return len(s.list), len(s.nodes) }

// Warnings are about certificates of the same kind that are there for the same name, a sentence for each of which
// another is shown instead.
func (s *Set) Warnings() []string { return s.warnings }

// builder makes a set.
type builder struct {
	set  *Set
	now  time.Time
	lost map[*Certificate]*loss
}

// loss is what a certificate is not shown for.
type loss struct {
	name   string // the first of the names
	winner *Certificate
	names  int
}

// reserve makes a table that is at most two thirds full with the names of a list.
func (b *builder) reserve(list []*Certificate) {
	names := 0
	for _, c := range list {
		names += len(c.Names)
	}
	size := 1 << bits.Len(uint(names+names/2))
	b.set.slots, b.set.mask = make([]slot, size), uint64(size-1)
	b.set.nodes = make([]node, 0, names)
}

// fallBack makes c the certificate of the default, with those of other kinds that its first name has.
func (b *builder) fallBack(c *Certificate, listed bool) {
	if !listed {
		b.set.list = append(b.set.list, c)
	}
	if len(c.Names) > 0 {
		b.set.fallback, _ = b.set.Find([]byte(c.Names[0]))
	}
	b.set.fallback.by[c.Kind] = c
}

// add makes c the certificate of a name for its kind, unless another is to be preferred.
func (b *builder) add(name string, c *Certificate) {
	name = strings.TrimPrefix(name, "*")
	s := b.set
	hash := maphash.String(s.seed, name)
	tag := uint32(hash >> 32)
	i := hash & s.mask
	for ; s.slots[i].number != 0; i = (i + 1) & s.mask {
		if n := &s.nodes[s.slots[i].number-1]; s.slots[i].tag == tag && n.name == name {
			b.compete(n, c)
			return
		}
	}
	n := node{name: name}
	n.entry.by[c.Kind] = c
	s.nodes = append(s.nodes, n)
	s.slots[i] = slot{tag, uint32(len(s.nodes))}
}

func (b *builder) compete(n *node, c *Certificate) {
	place := &n.entry.by[c.Kind]
	winner, loser := c, *place
	if loser == nil {
		*place = c
		return
	}
	if !b.better(winner, loser) {
		winner, loser = loser, winner
	}
	*place = winner
	if bytes.Equal(winner.TLS.Certificate[0], loser.TLS.Certificate[0]) {
		return
	}
	if b.lost[loser] == nil {
		b.lost[loser] = &loss{name: n.name, winner: winner}
	}
	b.lost[loser].names++
}

// better reports whether c is to be preferred to another of its kind.
func (b *builder) better(c, other *Certificate) bool {
	if valid := !c.NotBefore.After(b.now); valid != !other.NotBefore.After(b.now) {
		return valid
	}
	return c.NotAfter.After(other.NotAfter)
}

// report makes sentences of who lost, in the order of the files' names.
func (b *builder) report() []string {
	losers := slices.SortedFunc(maps.Keys(b.lost), func(x, y *Certificate) int {
		return strings.Compare(x.Source, y.Source)
	})
	var list []string
	for _, c := range losers {
		l := b.lost[c]
		name := l.name
		if name[0] == '.' {
			name = "*" + name
		}
		if l.names > 1 {
			name += fmt.Sprintf(" and %d other names", l.names-1)
		}
		list = append(list, fmt.Sprintf("certificate %s (%v, until %s) is not shown for %s: %s, of the same kind, "+
			"is preferred (until %s); remove one", c.Source, c.Kind, stamp(c.NotAfter), name, l.winner.Source,
			stamp(l.winner.NotAfter)))
	}
	return list
}
