package regset

import (
	"encoding/binary"
	"math/bits"
	"regexp/syntax"
	"slices"
)

// state is a state of the automaton under construction: threads that stand before an instruction which reads a rune, or
// before a condition that waits. Those with which the free patterns begin anew at each rune are the same in all states
// behind runes of one kind, and left out.
type state struct {
	before      kind   // what was read last, as far as it matters to a condition that waits
	matched     uint64 // patterns whose match was complete on getting here
	ended       uint64 // further patterns that match if the text ends here
	first, last uint32 // the threads, in subset.threads
}

// reaction is what becomes of some threads.
type reaction struct {
	takers   [][]uint32    // for each class, the threads that accept it
	complete [kinds]uint64 // patterns that are complete if a rune of that kind follows
	ended    uint64        // patterns that match if the text ends
}

// beginning is what the free patterns begin with behind a rune of some kind, as a part of all states there. No pattern
// matches by beginning: it would do so at the beginning of the text too, where all conditions hold that can be decided.
type beginning struct {
	ended    uint64     // patterns that match if the text ends
	behind   [][]uint32 // for each class, the threads behind it, without those that begin there
	complete []uint64   // for each class, patterns that are complete with it or before it
	next     []uint32   // for each class, the state behind it if no other thread reacts; 0: not known, otherwise 1 more
}

// subset runs the programs of some patterns together: it finds all states that an input can lead to.
//
// A pattern whose match is complete loses its threads. A free one goes on beginning anew all the same: the match is on
// record, and so no state has to remember for which patterns nothing is left to do.
type subset struct {
	*alphabet
	program  *program
	patterns uint64
	free     uint64 // patterns that can begin anywhere, and do not match already by that
	limits   limits
	walk

	begin   [kinds]beginning
	waits   syntax.EmptyOp    // conditions in the free patterns
	begins  []uint8           // for each instruction, bit k: a thread begins before it behind kind k
	states  []state           // in the order of their discovery
	threads []uint32          // of all states
	next    []uint32          // for each state a row of the states behind it, by class
	index   map[string]uint32 // states by key
	own     reaction          // of the threads that were looked at last
	key     []byte            // scratch: what tells a state from others
	waiting []uint32          // scratch: threads that wait

}

// newSubset finds the states for patterns. It returns nil if that is more than limits allow. left is the work that has
// not been used.
func newSubset(p *program, patterns uint64, lim limits) (s *subset, left int) {
	s = &subset{program: p, patterns: patterns, limits: lim, walk: walk{insts: p.insts, left: lim.work}}
	uses := syntax.EmptyOp(0)
	for m := patterns; m != 0; m &= m - 1 {
		uses |= p.uses[bits.TrailingZeros64(m)]
	}
	s.alphabet = newAlphabet(p, patterns, uses, &s.left)
	if s.alphabet == nil {
		return nil, s.left
	}
	s.seen = make([]uint32, len(p.insts))
	s.begins = make([]uint8, len(p.insts))
	s.index = map[string]uint32{}
	s.open()
	for i := 0; i < len(s.states); i++ {
		if s.exceeded() {
			return nil, s.left
		}
		s.expand(i)
	}
	if s.exceeded() {
		return nil, s.left
	}
	return s, s.left
}

func (s *subset) exceeded() bool {
	return s.left < 0 || len(s.states) > s.limits.states || len(s.states)*(len(s.size)+columns) > s.limits.cells
}

// open makes the first state, and finds out with what the free patterns begin.
func (s *subset) open() {
	s.enter(s.patterns, textEdge)
	s.free = s.patterns &^ s.program.bound &^ s.complete
	for m := s.free; m != 0; m &= m - 1 {
		s.waits |= s.program.uses[bits.TrailingZeros64(m)]
	}
	s.own.takers = make([][]uint32, len(s.size))
	var threads [kinds][]uint32
	for k := range threads {
		s.enter(s.free, kind(k))
		threads[k] = slices.Clone(s.reached)
		for _, pc := range s.reached {
			s.begins[pc] |= 1 << k
		}
	}
	for k := range threads {
		s.prepare(kind(k), threads[k])
	}
	s.enter(s.patterns, textEdge)
	s.intern(textEdge, 0, 0)
}

// prepare finds what becomes of the threads that begin behind a rune of kind before.
func (s *subset) prepare(before kind, threads []uint32) {
	s.react(threads, before)
	b := &s.begin[before]
	b.ended = s.own.ended
	b.next = make([]uint32, len(s.size))
	for class, k := range s.kind {
		if s.left < 0 {
			return
		}
		s.setOut()
		s.move(s.own.takers[class], k)
		var behind []uint32
		for _, pc := range s.reached {
			if s.begins[pc]>>k&1 == 0 {
				behind = append(behind, pc)
			}
		}
		b.behind = append(b.behind, behind)
		b.complete = append(b.complete, s.complete|s.own.complete[k])
	}
}

// enter walks from the beginnings of patterns, behind a rune of kind k.
func (s *subset) enter(patterns uint64, k kind) {
	s.setOut()
	for m := patterns; m != 0; m &= m - 1 {
		s.follow(s.program.start[bits.TrailingZeros64(m)], holding(k, other)&beginConditions, beginConditions)
	}
}

// intern returns the state of what the walk found behind a rune of kind k, where some patterns were complete before.
// The first threads reached, fresh in number, are those that have begun with this rune.
func (s *subset) intern(k kind, complete uint64, fresh int) uint32 {
	complete |= s.complete
	first := len(s.threads)
	waiting := s.waits
	for i, pc := range s.reached {
		in := &s.insts[pc]
		if i >= fresh && complete>>in.pattern&1 != 0 || s.begins[pc]>>k&1 != 0 {
			continue
		}
		s.threads = append(s.threads, pc)
		if in.op == syntax.InstEmptyWidth {
			waiting |= s.program.uses[in.pattern]
		}
	}
	threads := s.threads[first:]
	slices.Sort(threads)
	k = relevant(k, waiting)
	s.key = binary.LittleEndian.AppendUint64(append(s.key[:0], byte(k)), complete)
	for _, pc := range threads {
		s.key = append(s.key, byte(pc), byte(pc>>8), byte(pc>>16))
	}
	s.left -= 4 * len(threads)
	id, known := s.index[string(s.key)]
	if known {
		s.threads = s.threads[:first]
		return id
	}
	id = uint32(len(s.states))
	s.index[string(s.key)] = id
	s.states = append(s.states, state{before: k, matched: complete, first: uint32(first), last: uint32(len(s.threads))})
	return id
}

// relevant returns the kind that stands for k where only some conditions look back.
func relevant(k kind, uses syntax.EmptyOp) kind {
	matters := [kinds]syntax.EmptyOp{textEdge: beginConditions, word: wordConditions, newline: syntax.EmptyBeginLine}
	if uses&matters[k] == 0 {
		return other
	}
	return k
}

// expand finds the states behind state id, and the patterns that match if the text ends in it.
func (s *subset) expand(id int) {
	st := s.states[id]
	s.react(s.threads[st.first:st.last], st.before)
	s.states[id].ended = s.own.ended | s.begin[st.before].ended
	for c := 0; c < len(s.size) && s.left >= 0; c++ {
		s.next = append(s.next, s.step(&st, c))
	}
	s.left -= len(s.size)
}

// react has own be what becomes of threads behind a rune of kind before.
func (s *subset) react(threads []uint32, before kind) {
	r := &s.own
	for c := range r.takers {
		r.takers[c] = r.takers[c][:0]
	}
	s.waiting = s.waiting[:0]
	for _, pc := range threads {
		if s.insts[pc].op == syntax.InstEmptyWidth {
			s.waiting = append(s.waiting, pc)
		} else {
			s.take(pc, &everything)
		}
	}
	if len(s.waiting) == 0 {
		r.ended, r.complete = 0, [kinds]uint64{}
		return
	}
	s.pass(holding(before, textEdge))
	r.ended = s.complete
	for k := other; k < kinds; k++ {
		s.pass(holding(before, k))
		r.complete[k] = s.complete
		for _, pc := range s.reached {
			s.take(pc, &s.ofKind[k])
		}
	}
}

// pass walks from the threads that wait, when it is known which conditions hold.
func (s *subset) pass(hold syntax.EmptyOp) {
	s.setOut()
	for _, pc := range s.waiting {
		s.follow(pc, hold, allConditions)
	}
}

// everything is the set of all classes.
var everything = func() (all classSet) {
	for i := range all {
		all[i] = ^uint64(0)
	}
	return all
}()

// take notes that the thread before pc accepts its classes, as far as they are among some.
func (s *subset) take(pc uint32, some *classSet) {
	s.members[s.insts[pc].arg].all(some, func(c int) {
		s.own.takers[c] = append(s.own.takers[c], pc)
		s.left--
	})
}

// step returns the state behind st, to whose own threads s.own is the reaction, and a rune of a class.
func (s *subset) step(st *state, class int) uint32 {
	k := s.kind[class]
	b := &s.begin[st.before]
	own, complete := s.own.takers[class], s.own.complete[k]
	anew := len(own) == 0 && complete == 0
	if anew && b.next[class] != 0 {
		return b.next[class] - 1
	}
	s.setOut()
	s.reached = append(s.reached, b.behind[class]...)
	for _, pc := range s.reached {
		s.seen[pc] = s.number
	}
	s.left -= len(s.reached)
	s.move(own, k)
	id := s.intern(k, complete|b.complete[class], len(b.behind[class]))
	if anew {
		b.next[class] = id + 1
	}
	return id
}

// move walks from behind threads that have read a rune of kind k.
func (s *subset) move(takers []uint32, k kind) {
	for _, pc := range takers {
		s.follow(s.insts[pc].out, holding(k, other)&beginConditions, beginConditions)
	}
}
