package routing

// dict maps texts to values, persistently as hashMap does, which it is made of. The caller brings the hash of a text:
// it comes out of a pass over the input in which the hashes of many texts do, those of all its beginnings or ends.
//
// This is what hosts and path prefixes are looked up in. A search costs the same few dependent accesses to memory
// however many texts there are, where a tree costs more with each level.
type dict[V any] struct{ hashMap[entry[V]] }

// entry is a text and its value. A short text lies in the entry itself, where comparing it costs no further access to
// memory.
type entry[V any] struct {
	short [shortText]byte
	long  string // of longer texts; they have no short one
	size  int32
	edit  uint32
	twin  *entry[V] // another text with the same hash
	value V
}

const shortText = 32

func newEntry[V any](text string, edit uint32) *entry[V] {
	e := &entry[V]{size: int32(len(text)), edit: edit}
	if len(text) > shortText {
		e.long = text
	} else {
		copy(e.short[:], text)
	}
	return e
}

func is[V any, T string | []byte](e *entry[V], text T) bool {
	switch {
	case len(text) != int(e.size):
		return false
	case len(text) <= shortText:
		return string(e.short[:e.size]) == string(text)
	}
	return e.long == string(text)
}

// find is the value of text, whose hash is h, or nil.
func (d *dict[V]) find(h uint64, text []byte) *V {
	for e := d.hashMap.find(h); e != nil; e = e.twin {
		if counting {
			effort.compares.Add(1)
		}
		if is(e, text) {
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
		if is(e, text) {
			own = e
			continue
		}
		c := *e
		c.twin = others
		others = &c
	}
	switch {
	case own == nil:
		own = newEntry[V](text, edit)
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
