package routing

// dict maps texts to values, persistently as hashMap does, which it is made of. The caller brings the hash of a text:
// it comes out of a pass over the input in which the hashes of many texts do, those of all its beginnings or ends.
//
// This is what hosts and path prefixes are looked up in. A search costs the same few dependent accesses to memory
// however many texts there are, where a tree costs more with each level.
type dict[V any] struct{ hashMap[entry[V]] }

// entry is a text and its value.
type entry[V any] struct {
	text  string
	twin  *entry[V] // another text with the same hash
	edit  uint32
	value V
}

// find is the value of text, whose hash is h, or nil.
func (d *dict[V]) find(h uint64, text []byte) *V {
	for e := d.hashMap.find(h); e != nil; e = e.twin {
		if e.text == string(text) {
			return &e.value
		}
	}
	return nil
}

// change has do change the value of text: one that belongs to the edit, a copy of that which was there, or the zero
// value. If do reports false, the text is taken out.
func (d *dict[V]) change(h uint64, text string, edit uint32, do func(*V) bool) {
	var others, own *entry[V]
	for e := d.hashMap.find(h); e != nil; e = e.twin {
		if e.text == text {
			own = e
			continue
		}
		c := *e
		c.twin = others
		others = &c
	}
	switch {
	case own == nil:
		own = &entry[V]{text: text, edit: edit}
	case own.edit != edit:
		c := *own
		c.edit = edit
		own = &c
	}
	own.twin = others
	if !do(&own.value) {
		own = others
	}
	d.set(h, own, edit)
}
