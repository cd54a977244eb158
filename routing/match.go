package routing

import "bytes"

// Match returns the route of the most specific rule that covers host and path, or -1. Host is a Host field's value or
// an authority as received: case, port and one trailing dot are ignored; it may be empty, and so match rules for any
// host only. Path is the target's path as received, without the query. The cost grows with the length of host and path,
// not with the number of rules.
func (t *Table) Match(host, path []byte) int {
	node, labels := t.longestSuffix(trimHost(host))
	for ; node != none; node = t.hosts[node].up {
		n := &t.hosts[node]
		switch int(n.labels) {
		case labels:
			if r := t.walk(n.exact, path); r != none {
				return int(r)
			}
			continue
		case labels - 1:
			if r := t.walk(n.star, path); r != none {
				return int(r)
			}
		}
		if r := t.walk(n.deep, path); r != none {
			return int(r)
		}
	}
	return int(t.walk(t.anyHost, path))
}

// trimHost removes the port and a trailing dot. An IPv6 address keeps its brackets, as in Host.Name.
func trimHost(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		return host[:bytes.IndexByte(host, ']')+1]
	}
	if i := bytes.IndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	return host
}

// longestSuffix finds the longest suffix of name, by whole labels, that the table knows, or none; labels is the number
// of name's own labels. The hash runs from the end of the name, so that each suffix's hash falls out on the way.
func (t *Table) longestSuffix(name []byte) (node int32, labels int) {
	node = none
	if len(t.slots) == 0 || len(name) == 0 || len(name) > MaxHost {
		return none, 0
	}
	h := uint64(hashSeed)
	end := len(name) // where the current label ends
	for i := len(name) - 1; i >= 0; i-- {
		c := lower(name[i])
		if c == '.' {
			if end == i+1 {
				return none, 0 // an empty label: not a name
			}
			labels++
			end = i
			if labels <= t.deepest {
				if n := t.find(hashEnd(h), name[i+1:]); n != none {
					node = n
				}
			}
		}
		h = hashByte(h, c)
	}
	if end == 0 {
		return none, 0
	}
	if n := t.find(hashEnd(h), name); n != none {
		node = n
	}
	return node, labels + 1
}

// find looks name up under its hash h.
func (t *Table) find(h uint64, name []byte) int32 {
	mask := uint64(len(t.slots) - 1)
	for at := h & mask; t.slots[at].node != none; at = (at + 1) & mask {
		if s := t.slots[at]; s.tag == uint32(h>>32) && equalFold(name, t.name(&t.hosts[s.node])) {
			return s.node
		}
	}
	return none
}

func (t *Table) name(n *hostNode) []byte { return t.hostText[n.text : n.text+uint32(n.size)] }

// walk descends the tree at root along path and returns the route of the longest prefix that ends at a segment's end.
func (t *Table) walk(root int32, path []byte) int32 {
	if root == none {
		return none
	}
	n := &t.nodes[root]
	best := n.route
	for len(path) > 0 && n.count > 0 {
		k := bytes.IndexByte(t.heads[n.first:n.first+uint32(n.count)], path[0])
		if k < 0 {
			break
		}
		n = &t.nodes[n.first+uint32(k)]
		text := t.pathText[n.text : n.text+uint32(n.size)]
		if !bytes.HasPrefix(path, text) {
			break
		}
		path = path[len(text):]
		if n.route != none && (len(path) == 0 || path[0] == '/') {
			best = n.route
		}
	}
	return best
}

// equalFold compares a received name with one in lower case.
func equalFold(name, lowered []byte) bool {
	if len(name) != len(lowered) {
		return false
	}
	for i, c := range name {
		if lower(c) != lowered[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// FNV-1a, with a final mix because slots are taken from the low bits. Names come from the configuration, so a client
// cannot make slots crowd; it can only ask.
const (
	hashSeed  = 0xcbf29ce484222325
	hashPrime = 0x100000001b3
)

func hashByte(h uint64, c byte) uint64 { return (h ^ uint64(c)) * hashPrime }

func hashEnd(h uint64) uint64 {
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
