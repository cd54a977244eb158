package routing

import (
	"slices"
	"strings"
)

// node is a node of a radix tree from strings to values, and stands for the whole tree when it is the root, whose text
// is empty.
//
// Trees are persistent: a change copies the nodes between the root and the place of the change, and shares all others
// with the tree as it was. Nodes that carry the running edit's number belong to it already and are changed in place, so
// that building a tree copies nothing.
//
// A search looks at little memory: which way it goes is in the list of kids, how far in the length of a kid's text.
// Whether the text is the right one is asked only where a value stands.
type node[V any] struct {
	text  string   // from the root on; the part behind the parent's text is the node's label
	kids  []kid[V] // in the order of their heads
	value *V       // nil at a mere fork
	edit  uint32
}

// kid is a node below another, and the byte that tells it from its siblings: the first of its label.
type kid[V any] struct {
	head byte
	*node[V]
}

// search is the index where the kid with that head is, or would be.
func (n *node[V]) search(head byte) (i int, found bool) {
	for i = range n.kids {
		if h := n.kids[i].head; h >= head {
			return i, h == head
		}
	}
	return len(n.kids), false
}

// own is n if it belongs to edit, else a copy that does.
func (n *node[V]) own(edit uint32) *node[V] {
	if n.edit == edit {
		return n
	}
	c := *n
	c.kids, c.edit = slices.Clone(n.kids), edit
	return &c
}

// grow returns the tree with a node for key, which may be there already, and that node, whose value must be set then:
// of a new node, it is there and zero. n belongs to edit already, and its text begins key.
func (n *node[V]) grow(key string, edit uint32) (place *node[V]) {
	if len(key) == len(n.text) {
		return n
	}
	head := key[len(n.text)]
	i, found := n.search(head)
	if !found {
		leaf := newLeaf[V](key, edit)
		n.kids = slices.Insert(n.kids, i, kid[V]{head, leaf})
		return leaf
	}
	below := n.kids[i].node.own(edit)
	if common := commonPrefix(below.text, key); common < len(below.text) {
		fork := &node[V]{text: key[:common], kids: []kid[V]{{below.text[common], below}}, edit: edit}
		if common == len(key) {
			fork = newLeaf[V](key, edit)
			fork.kids = []kid[V]{{below.text[common], below}}
		}
		below = fork
	}
	n.kids[i].node = below
	return below.grow(key, edit)
}

// newLeaf makes a node with a value beside it, so that who finds the one has the other at hand.
func newLeaf[V any](key string, edit uint32) *node[V] {
	leaf := &struct {
		node[V]
		value V
	}{node: node[V]{text: key, edit: edit}}
	leaf.node.value = &leaf.value
	return &leaf.node
}

// find is the node of key, or nil.
func (n *node[V]) find(key string) *node[V] {
	for len(n.text) < len(key) {
		i, found := n.search(key[len(n.text)])
		if !found || !strings.HasPrefix(key, n.kids[i].text) {
			return nil
		}
		n = n.kids[i].node
	}
	return n
}

// prune takes key out, whose node must exist and have no value any more. n belongs to edit already; what is returned
// takes its place: nil when nothing is left of it.
func (n *node[V]) prune(key string, edit uint32) *node[V] {
	if len(n.text) < len(key) {
		i, _ := n.search(key[len(n.text)])
		if left := n.kids[i].node.own(edit).prune(key, edit); left != nil {
			n.kids[i].node = left
		} else {
			n.kids = slices.Delete(n.kids, i, i+1)
		}
	}
	switch {
	case n.value != nil || len(n.kids) > 1 || n.text == "":
		return n
	case len(n.kids) == 0:
		return nil
	}
	return n.kids[0].node
}

// empty reports whether there is nothing in a tree.
func (n *node[V]) empty() bool { return n.value == nil && len(n.kids) == 0 }

// next goes down from n along key: to the node that key may continue in, or nil. Whether it does shows when the node's
// text is compared.
func (n *node[V]) next(key []byte) *node[V] {
	if len(key) <= len(n.text) {
		return nil
	}
	if counting {
		effort.probes.Add(1)
	}
	if i, found := n.search(key[len(n.text)]); found && len(n.kids[i].text) <= len(key) {
		return n.kids[i].node
	}
	return nil
}

// begins reports whether key begins with n's text.
func (n *node[V]) begins(key []byte) bool {
	if counting {
		effort.compares.Add(1)
	}
	return string(key[:len(n.text)]) == n.text
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
