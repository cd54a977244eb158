package routing

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Table is a compiled set of rules. It holds no pointers but its own slices, so that a large one costs the garbage
// collector nothing. It is safe for concurrent use.
//
// Hosts: one hash index from names to hostNodes, serving exact names and wildcard suffixes alike. Paths: one radix tree
// for each host pattern, all in the same arrays.
type Table struct {
	hosts    []hostNode
	slots    []hostSlot // open addressing, a power of two long; at most half full
	deepest  int        // most labels of a wildcard's suffix
	anyHost  int32      // root of the tree for any host, or none
	nodes    []pathNode
	heads    []byte // heads[i] is the first byte of nodes[i]'s text
	hostText []byte
	pathText []byte
}

// none marks an absent index.
const none int32 = -1

// hostNode is a name that some pattern has as its name or suffix.
type hostNode struct {
	text              uint32 // where the name starts in hostText
	size              uint8
	labels            uint8
	exact, star, deep int32 // roots of path trees, or none
	up                int32 // the longest proper suffix of this name that a wildcard has, or none
}

type hostSlot struct {
	tag  uint32 // high half of the name's hash
	node int32  // or none
}

// pathNode is a node of a radix tree. Its children lie side by side, ordered by their first byte.
type pathNode struct {
	text  uint32 // where its text starts in pathText
	size  uint16
	count uint16 // children
	first uint32 // index of the first child
	route int32  // what a path that ends a segment here leads to, or none
}

// Compile builds the table of rules. The error names every rule that cannot be understood.
func Compile(rules []Rule) (*Table, error) {
	byHost, err := group(rules)
	if err != nil {
		return nil, err
	}
	t := &Table{anyHost: none}
	order := make([]Host, 0, len(byHost))
	for h := range byHost {
		order = append(order, h)
	}
	slices.SortFunc(order, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	byName := make(map[string]int32)
	for _, h := range order {
		root, err := t.addTree(byHost[h])
		if err != nil {
			return nil, err
		}
		t.addHost(byName, h, root)
	}
	t.linkSuffixes(byName)
	t.fillSlots()
	return t, nil
}

// leaf is one prefix of one host pattern and the rule that has it.
type leaf struct {
	prefix string
	rule   *Rule
}

// group sorts the rules' prefixes by host pattern: for each, unique prefixes in byte order.
func group(rules []Rule) (map[Host][]leaf, error) {
	byHost := make(map[Host][]leaf)
	var errs []error
	for i := range rules {
		r := &rules[i]
		hosts, prefixes, err := r.parse()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, h := range hosts {
			for _, p := range prefixes {
				byHost[h] = append(byHost[h], leaf{p, r})
			}
		}
	}
	for h, leaves := range byHost {
		slices.SortStableFunc(leaves, func(a, b leaf) int {
			return cmp.Or(strings.Compare(a.prefix, b.prefix), strings.Compare(a.rule.Name, b.rule.Name))
		})
		byHost[h] = slices.CompactFunc(leaves, func(a, b leaf) bool { return a.prefix == b.prefix })
	}
	return byHost, errors.Join(errs...)
}

func (r *Rule) parse() (hosts []Host, prefixes []string, err error) {
	if r.Route < 0 || r.Route > math.MaxInt32 {
		return nil, nil, fmt.Errorf("compile rule %q: route %d is out of range", r.Name, r.Route)
	}
	for _, s := range r.Hosts {
		h, err := ParseHost(s)
		if err != nil {
			return nil, nil, fmt.Errorf("compile rule %q: host %q: %w", r.Name, s, err)
		}
		hosts = append(hosts, h)
	}
	for _, s := range r.Prefixes {
		p, err := ParsePrefix(s)
		if err != nil {
			return nil, nil, fmt.Errorf("compile rule %q: path prefix %q: %w", r.Name, s, err)
		}
		prefixes = append(prefixes, p)
	}
	if len(hosts) == 0 {
		hosts = []Host{{Kind: HostAny}}
	}
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	return hosts, prefixes, nil
}

func (t *Table) addHost(byName map[string]int32, h Host, root int32) {
	if h.Kind == HostAny {
		t.anyHost = root
		return
	}
	i, ok := byName[h.Name]
	if !ok {
		i = int32(len(t.hosts))
		byName[h.Name] = i
		t.hosts = append(t.hosts, hostNode{
			text: uint32(len(t.hostText)), size: uint8(len(h.Name)), labels: uint8(strings.Count(h.Name, ".") + 1),
			exact: none, star: none, deep: none, up: none,
		})
		t.hostText = append(t.hostText, h.Name...)
	}
	n := &t.hosts[i]
	switch h.Kind {
	case HostExact:
		n.exact = root
	case HostStar:
		n.star = root
	case HostDeep:
		n.deep = root
	}
	if h.Kind != HostExact {
		t.deepest = max(t.deepest, int(n.labels))
	}
}

// linkSuffixes sets up of every node, so that Match has to find only the longest name.
func (t *Table) linkSuffixes(byName map[string]int32) {
	for name, i := range byName {
		for rest, more := cutLabel(name); more; rest, more = cutLabel(rest) {
			if j, ok := byName[rest]; ok && (t.hosts[j].star != none || t.hosts[j].deep != none) {
				t.hosts[i].up = j
				break
			}
		}
	}
}

func cutLabel(name string) (rest string, ok bool) {
	_, rest, ok = strings.Cut(name, ".")
	return rest, ok
}

func (t *Table) fillSlots() {
	if len(t.hosts) == 0 {
		return
	}
	size := 2
	for size < 2*len(t.hosts) {
		size *= 2
	}
	t.slots = slices.Repeat([]hostSlot{{node: none}}, size)
	for i := range t.hosts {
		h := uint64(hashSeed)
		name := t.name(&t.hosts[i])
		for k := len(name) - 1; k >= 0; k-- {
			h = hashByte(h, name[k])
		}
		h = hashEnd(h)
		at := h & uint64(size-1)
		for t.slots[at].node != none {
			at = (at + 1) & uint64(size-1)
		}
		t.slots[at] = hostSlot{uint32(h >> 32), int32(i)}
	}
}

// span is a node still to be built: the leaves below it, which agree on their first depth bytes.
type span struct {
	node   int32
	leaves []leaf
	depth  int
}

// addTree appends the radix tree of leaves (in byte order, unique) and returns its root, whose text is empty.
func (t *Table) addTree(leaves []leaf) (root int32, err error) {
	root = int32(len(t.nodes))
	if len(t.nodes)+2*len(leaves) > math.MaxInt32 || len(t.pathText) > math.MaxUint32-MaxPrefix {
		return none, errors.New("compile rules: too many path prefixes for one table")
	}
	t.addNode("")
	for queue := []span{{root, leaves, 0}}; len(queue) > 0; {
		s := queue[0]
		queue = append(queue[1:], t.addChildren(s)...)
	}
	return root, nil
}

// addChildren completes s.node and appends its children, which are returned for completion in their turn.
func (t *Table) addChildren(s span) (todo []span) {
	if len(s.leaves[0].prefix) == s.depth {
		t.nodes[s.node].route = int32(s.leaves[0].rule.Route)
		s.leaves = s.leaves[1:]
	}
	first := len(t.nodes)
	for len(s.leaves) > 0 {
		head := s.leaves[0].prefix[s.depth]
		n, _ := slices.BinarySearchFunc(s.leaves, head, func(l leaf, head byte) int {
			if l.prefix[s.depth] <= head {
				return -1
			}
			return 1
		})
		end := commonPrefix(s.leaves[0].prefix, s.leaves[n-1].prefix)
		todo = append(todo, span{int32(len(t.nodes)), s.leaves[:n], end})
		t.addNode(s.leaves[0].prefix[s.depth:end])
		s.leaves = s.leaves[n:]
	}
	t.nodes[s.node].first = uint32(first)
	t.nodes[s.node].count = uint16(len(t.nodes) - first)
	return todo
}

func (t *Table) addNode(text string) {
	t.nodes = append(t.nodes, pathNode{text: uint32(len(t.pathText)), size: uint16(len(text)), route: none})
	t.pathText = append(t.pathText, text...)
	head := byte(0) // of a root, which is nobody's child
	if text != "" {
		head = text[0]
	}
	t.heads = append(t.heads, head)
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
