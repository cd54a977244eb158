package rule

import (
	"encoding/binary"
	"slices"
)

// literal is a predicate of the rule, as it is or turned round.
type literal struct {
	id    int32
	pred  Predicate
	atoms []atom
	cost  int // of comparing the atoms once
}

// conjunction is a list of literals by their index, in order, each once.
type conjunction []int32

// expander is the state of one expansion.
type expander struct {
	literals []*literal
	index    map[string]*literal // by their text
	work     int
	never    []string // why conditions fit nothing by themselves

	verdicts  map[string]*verdict // of subjects, by their literals
	tests     []Predicate         // of alternatives, each once
	testIndex map[string]int32
	regexps   regexps
}

func newExpander() *expander {
	return &expander{
		index:     map[string]*literal{},
		verdicts:  map[string]*verdict{},
		testIndex: map[string]int32{},
		regexps:   newRegexps(),
	}
}

// maxWork bounds the literals and values that an expansion copies, so that time and memory stay small whatever the
// rule says: about a second and a hundred megabytes at worst.
const maxWork = 1 << 21

// spend counts work; it reports whether there was enough left.
func (x *expander) spend(n int) bool {
	x.work += n + 1
	return x.work <= maxWork
}

// conjunctions is the disjunctive normal form of e, or of its negation; false when it is too large.
func (x *expander) conjunctions(e *Expr, negated bool) ([]conjunction, bool) {
	switch {
	case e.Op == OpNot:
		return x.conjunctions(e.Args[0], !negated)
	case e.Op == OpMatch:
		return x.match(&e.Pred, negated), true
	case (e.Op == OpOr) != negated:
		return x.union(e.Args, negated)
	}
	return x.product(e.Args, negated)
}

// match is the normal form of a predicate: the predicate, nothing when it fits no request, and the empty conjunction
// when it fits every one.
func (x *expander) match(p *Predicate, negated bool) []conjunction {
	switch always := p.always(); {
	case always && negated:
		x.never = append(x.never, "!"+p.brief()+" fits no request")
		return nil
	case always:
		return []conjunction{{}}
	}
	lit := *p
	lit.Not = negated
	key := lit.String()
	l, ok := x.index[key]
	if !ok {
		l = &literal{id: int32(len(x.literals)), pred: lit, atoms: lit.atoms()}
		for _, a := range l.atoms {
			l.cost += 1 + (len(a.text)>>6)*(len(a.text)>>6)
		}
		x.index[key] = l
		x.literals = append(x.literals, l)
	}
	return []conjunction{{l.id}}
}

// union joins the normal forms of args.
func (x *expander) union(args []*Expr, negated bool) ([]conjunction, bool) {
	var all []conjunction
	seen := map[string]struct{}{}
	for _, arg := range args {
		list, ok := x.conjunctions(arg, negated)
		if !ok {
			return nil, false
		}
		for _, c := range list {
			if !x.spend(len(c)) {
				return nil, false
			}
			all = appendNew(all, seen, c)
		}
	}
	return all, len(all) <= MaxAlternatives
}

// product joins each conjunction of each of args with each of the others. Those that have one alternative only come
// first, since all others then are no more than they must be.
func (x *expander) product(args []*Expr, negated bool) ([]conjunction, bool) {
	var single conjunction
	var lists [][]conjunction
	for _, arg := range args {
		list, ok := x.conjunctions(arg, negated)
		if !ok {
			return nil, false
		}
		if len(list) == 1 {
			single = merge(single, list[0])
		} else {
			lists = append(lists, list)
		}
	}
	all := []conjunction{single}
	for _, list := range lists {
		var next []conjunction
		seen := map[string]struct{}{}
		for _, a := range all {
			for _, b := range list {
				if !x.spend(len(a) + len(b)) {
					return nil, false
				}
				next = appendNew(next, seen, merge(a, b))
			}
			if len(next) > MaxAlternatives {
				return nil, false
			}
		}
		all = next
	}
	return all, true
}

func merge(a, b conjunction) conjunction {
	both := append(slices.Clone(a), b...)
	slices.Sort(both)
	return slices.Compact(both)
}

// appendNew appends c unless it was seen.
func appendNew(all []conjunction, seen map[string]struct{}, c conjunction) []conjunction {
	key := idKey(c)
	if _, ok := seen[key]; ok {
		return all
	}
	seen[key] = struct{}{}
	return append(all, c)
}

// idKey makes a list of indexes comparable.
func idKey(ids []int32) string {
	key := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		key = binary.LittleEndian.AppendUint32(key, uint32(id))
	}
	return string(key)
}

// test finds or adds a predicate of alternatives.
func (x *expander) test(p Predicate) int32 {
	key := p.String()
	i, ok := x.testIndex[key]
	if !ok {
		i = int32(len(x.tests))
		x.testIndex[key] = i
		x.tests = append(x.tests, p)
	}
	return i
}

// count is how many alternatives a rule has if none of them is impossible or there twice; limit at most.
func count(e *Expr, negated bool, limit int) int {
	n := 0
	switch {
	case e.Op == OpNot:
		return count(e.Args[0], !negated, limit)
	case e.Op == OpMatch:
		if e.Pred.Kind >= Host && e.Pred.Kind <= PathRegexp && !negated {
			return min(limit, len(e.Pred.Values))
		}
		return 1
	case (e.Op == OpOr) != negated:
		for _, arg := range e.Args {
			n = min(limit, n+count(arg, negated, limit))
		}
	default:
		n = 1
		for _, arg := range e.Args {
			n = min(limit, n*count(arg, negated, limit))
		}
	}
	return n
}

// tooLarge is the fault of a rule that has more than MaxAlternatives alternatives, or too long ones.
func tooLarge(e *Expr) *Error {
	const limit = 1_000_000_000
	hint := "write several routes, such as one for each operand of the longest ||"
	switch n := count(e, false, limit); {
	case n == limit:
		return refusef(e.At, 1, hint, "the rule's || and lists leave open over %d combinations, %d can be handled",
			limit, MaxAlternatives)
	case n > MaxAlternatives:
		return refusef(e.At, 1, hint, "the rule's || and lists leave open %d combinations, %d can be handled",
			n, MaxAlternatives)
	default:
		return refusef(e.At, 1, hint, "the %d combinations that the rule's || and lists leave open are too long", n)
	}
}
