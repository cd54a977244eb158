package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// all is a tree as a map.
func (n *node[V]) all(to map[string]V) map[string]V {
	if n.value != nil {
		to[n.text] = *n.value
	}
	for _, k := range n.kids {
		if k.head != k.text[len(n.text)] || k.text[:len(n.text)] != n.text {
			panic("a kid's text does not continue its parent's with its head")
		}
		k.all(to)
	}
	return to
}

func randomKey(rnd *rand.Rand) string {
	var key []byte
	for range rnd.IntN(7) {
		key = append(key, "ab/"[rnd.IntN(3)])
	}
	return string(key)
}

// TestTreeIsPersistent: after each of many changes, every earlier edition of the tree is as it was.
func TestTreeIsPersistent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	type edition struct {
		tree *node[int]
		want map[string]int
	}
	now := map[string]int{}
	tree := &node[int]{edit: 1}
	var old []edition
	for edit := uint32(1); edit < 400; edit++ {
		for range 1 + rnd.IntN(6) {
			key := randomKey(rnd)
			if _, there := now[key]; there && rnd.IntN(2) == 0 {
				delete(now, key)
				tree = tree.own(edit)
				tree.grow(key, edit).value = nil
				tree.prune(key, edit)
				continue
			}
			v := rnd.IntN(1000)
			now[key] = v
			tree = tree.own(edit)
			tree.grow(key, edit).value = &v
		}
		old = append(old, edition{tree, maps.Clone(now)})
	}
	for i, e := range old {
		if got := e.tree.all(map[string]int{}); !maps.Equal(got, e.want) {
			t.Fatalf("edition %d: %v, want %v", i, got, e.want)
		}
		for key, v := range e.want {
			if n := e.tree.find(key); n == nil || *n.value != v {
				t.Fatalf("edition %d does not find %q", i, key)
			}
		}
	}
}

// TestTreeKeepsItsForm: a tree from which everything was taken again is as if it had never been there.
func TestTreeKeepsItsForm(t *testing.T) {
	tree := &node[int]{edit: 1}
	keys := []string{"/api", "/api/v1", "/api/v2", "/apple", "/", "/b/c"}
	v := 1
	for _, k := range keys {
		tree.grow(k, 1).value = &v
	}
	if n := tree.find("/api"); len(n.kids) != 1 || n.kids[0].text != "/api/v" {
		t.Errorf("below /api: %d kids", len(n.kids))
	}
	for _, k := range keys[1:] {
		tree.find(k).value = nil
		tree.prune(k, 1)
	}
	if len(tree.kids) != 1 || tree.kids[0].text != "/api" || tree.value != nil || len(tree.kids[0].kids) > 0 {
		t.Errorf("left: %v", tree.all(map[string]int{}))
	}
}

func TestHashMapIsPersistent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	type edition struct {
		m    hashMap[int]
		want map[uint64]int
	}
	var m hashMap[int]
	now := map[uint64]int{}
	var old []edition
	for edit := uint32(1); edit < 300; edit++ {
		for range rnd.IntN(12) {
			h := rnd.Uint64N(300) * 0x9e3779b97f4a7c15 &^ (rnd.Uint64N(2) * 0xffffffff) // some share their low half
			if _, there := now[h]; there && rnd.IntN(3) == 0 {
				delete(now, h)
				m.set(h, nil, edit)
				continue
			}
			v := int(edit)
			now[h] = v
			m.set(h, &v, edit)
		}
		old = append(old, edition{m, maps.Clone(now)})
	}
	for i := range old {
		e := &old[i]
		if e.m.count != len(e.want) {
			t.Fatalf("edition %d counts %d, want %d", i, e.m.count, len(e.want))
		}
		for h := range now {
			got, want := e.m.find(h), e.want[h]
			if _, there := e.want[h]; there != (got != nil) || there && *got != want {
				t.Fatalf("edition %d: %x is %v, want %d", i, h, got, want)
			}
		}
	}
}

func TestPatternsGiveBackPlaces(t *testing.T) {
	var p *patterns[int]
	v := 7
	for edit := uint32(1); edit < 500; edit++ {
		if p == nil {
			p = &patterns[int]{edit: edit}
		}
		p = p.own(edit)
		for i := range 3 {
			p.set(fmt.Sprintf("^/%d/%d$", edit, i), &v, edit)
			p.set(fmt.Sprintf("^/%d/%d$", edit-20, i), nil, edit)
		}
		if p.get(fmt.Sprintf("^/%d/1$", edit)) == nil || p.get(fmt.Sprintf("^/%d/1$", edit-20)) != nil {
			t.Fatalf("edit %d: the wrong ones are there", edit)
		}
	}
	places := 0
	for _, g := range p.groups {
		places += len(g.values)
	}
	if used := p.where.count; used != 60 || places > 64 {
		t.Errorf("%d values in %d places", used, places)
	}
	texts := slices.Clone(p.groups[0].texts)
	slices.Sort(texts)
	if len(slices.Compact(texts)) < 60 {
		t.Error("texts got lost")
	}
}
