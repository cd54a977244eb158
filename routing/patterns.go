package routing

import (
	"slices"

	"github.com/uringproxy/uringproxy/routing/regset"
)

// patterns maps regular expressions to values: all values whose expression matches are found in one pass over the input
// for each group of expressions. It is persistent as node is.
type patterns[V any] struct {
	groups []*group[V]
	where  hashMap[int] // by a text's hash: the group that has it
	free   int          // places that were given back
	edit   uint32
}

// group is as many expressions as one automaton set takes. A free place has no value.
type group[V any] struct {
	set    *regset.Set
	texts  []string
	values []*V
	places []uint8 // of the set's expressions: indexes of texts
	edit   uint32
}

// own is p if it belongs to edit, else a copy that does.
func (p *patterns[V]) own(edit uint32) *patterns[V] {
	if p.edit == edit {
		return p
	}
	c := *p
	c.groups, c.edit = slices.Clone(p.groups), edit
	return &c
}

// find is the place of a text: its group and its index there, or -1.
func (p *patterns[V]) find(text string) (g, at int) {
	if hint := p.where.find(textHash(text)); hint != nil {
		if at = slices.Index(p.groups[*hint].texts, text); at >= 0 {
			return *hint, at
		}
		for g := range p.groups { // two texts have the same hash
			if at = slices.Index(p.groups[g].texts, text); at >= 0 {
				return g, at
			}
		}
	}
	return -1, -1
}

// get is the value of a text, or nil.
func (p *patterns[V]) get(text string) *V {
	if g, at := p.find(text); at >= 0 {
		return p.groups[g].values[at]
	}
	return nil
}

// set makes v the value of text; nil takes the text out. The groups that changed are without their automata until
// compile.
func (p *patterns[V]) set(text string, v *V, edit uint32) {
	g, at := p.find(text)
	switch {
	case at >= 0:
	case v == nil:
		return
	default:
		g = p.room(edit)
		at = slices.Index(p.groups[g].values, nil)
		p.where.set(textHash(text), &g, edit)
	}
	own := p.groups[g].own(edit)
	p.groups[g] = own
	if v == nil {
		p.where.set(textHash(text), nil, edit)
		text = ""
		p.free++
	}
	if (own.values[at] == nil) != (v == nil) {
		own.set = nil
	}
	own.texts[at], own.values[at] = text, v
}

// room is the number of a group that has a free place: one that was given back, or else one at the end.
func (p *patterns[V]) room(edit uint32) int {
	if p.free > 0 {
		p.free--
		return slices.IndexFunc(p.groups, func(g *group[V]) bool { return slices.Contains(g.values, nil) })
	}
	n := len(p.groups)
	if n == 0 || len(p.groups[n-1].values) == regset.Max {
		p.groups = append(p.groups, &group[V]{edit: edit})
		n++
	}
	last := p.groups[n-1].own(edit)
	last.texts, last.values = append(last.texts, ""), append(last.values, nil)
	p.groups[n-1] = last
	return n - 1
}

func (g *group[V]) own(edit uint32) *group[V] {
	if g.edit == edit {
		return g
	}
	c := *g
	c.texts, c.values, c.edit = slices.Clone(g.texts), slices.Clone(g.values), edit
	return &c
}

// compile makes the automata that changes have left out.
func (p *patterns[V]) compile() error {
	for _, g := range p.groups {
		if g.set != nil {
			continue
		}
		var texts []string
		g.places = g.places[:0:0]
		for i, v := range g.values {
			if v != nil {
				texts = append(texts, g.texts[i])
				g.places = append(g.places, uint8(i))
			}
		}
		var err error
		if g.set, err = regset.Compile(texts); err != nil {
			return err
		}
	}
	return nil
}

// empty reports whether p has no value any more.
func (p *patterns[V]) empty() bool { return p.where.count == 0 }
