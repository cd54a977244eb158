package regset

import (
	"encoding/binary"
	"math/bits"
	"regexp/syntax"
	"slices"
)

// beginConditions look at what stands before them, so that they are decided when a thread reaches them. The others have
// to wait for what comes next: a thread that waits stands before its condition.
const beginConditions = syntax.EmptyBeginText | syntax.EmptyBeginLine

const allConditions = beginConditions | syntax.EmptyEndText | syntax.EmptyEndLine | wordConditions

// state is a state of the automaton under construction: threads that stand before an instruction which reads a rune, or
// before a condition that waits. Those with which the free patterns begin anew at each rune are the same in all states
// behind runes of one kind, and left out.
type state struct {
	before      kind   // what was read last, as far as it matters to a condition that waits
	matched     uint64 // patterns whose match was complete on getting here; they have no threads
	ended       uint64 // further patterns that match if the text ends here
	first, last uint32 // the threads, in subset.threads
}

// reaction is what becomes of some threads.
type reaction struct {
	takers   [][]uint32    // for each class, the threads that accept it
	complete [kinds]uint64 // patterns that are complete if a rune of that kind follows
	ended    uint64        // patterns that match if the text ends
}

// beginning is what the free patterns begin with behind a rune of some kind, as a part of all states there.
type beginning struct {
	reaction
	threads []uint32
	matched uint64   // patterns that match by beginning there
	next    []uint32 // for each class, the state behind it if no other thread reacts to it; 0: not known, otherwise 1 more
}

// subset runs the programs of some patterns together: it finds all states that an input can lead to.
//
// A pattern whose match is complete loses its threads. A free one begins anew at the next rune, which does no harm, as
// the match is on record, and needs no state that says so.
type subset struct {
	*program
	*alphabet
	patterns uint64
	free     uint64 // patterns that can begin anywhere, and do not match already by that
	limits   limits
	left     int // of limits.work

	begin   [kinds]beginning
	waits   syntax.EmptyOp    // conditions in the free patterns
	begins  []uint8           // for each instruction, bit k: it is in begin[k].threads
	states  []state           // in the order of their discovery
	threads []uint32          // of all states
	next    []uint32          // for each state a row of the states behind it, by class
	index   map[string]uint32 // states by key
	own     reaction          // scratch: of the threads of a state
	key     []byte            // scratch: what tells a state from others

	walk     uint32   // counts walks
	seen     []uint32 // for each instruction, the walk that came by last
	stack    []uint32 // of a walk
	reached  []uint32 // threads that the walk found
	complete uint64   // patterns whose end the walk found
	waiting  []uint32 // scratch: threads that wait
}

// newSubset finds the states for patterns. It returns nil if that is more than limits allow. left is the work that has
// not been used.
func newSubset(p *program, patterns uint64, lim limits) (s *subset, left int) {
	s = &subset{program: p, patterns: patterns, limits: lim, left: lim.work}
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
		if s.expand(i); s.exceeded() {
			return nil, s.left
		}
	}
	return s, s.left
}

func (s *subset) exceeded() bool {
	return s.left < 0 || len(s.states) > s.limits.states || len(s.states)*(len(s.size)+columns) > s.limits.cells
}

// open makes the first state, and finds out with what the free patterns begin.
func (s *subset) open() {
	s.enter(s.patterns, textEdge)
	s.free = s.patterns &^ s.bound &^ s.complete
	for m := s.free; m != 0; m &= m - 1 {
		s.waits |= s.uses[bits.TrailingZeros64(m)]
	}
	s.own.takers = make([][]uint32, len(s.size))
	for k := range s.begin {
		s.enter(s.free, kind(k))
		b := &s.begin[k]
		b.matched = s.complete
		b.threads = slices.Clone(s.reached)
		b.takers = make([][]uint32, len(s.size))
		b.next = make([]uint32, len(s.size))
		s.react(&b.reaction, b.threads, kind(k))
		for _, pc := range b.threads {
			s.begins[pc] |= 1 << k
		}
	}
	s.enter(s.patterns, textEdge)
	s.intern(textEdge, 0)
}

// enter walks from the beginnings of patterns, behind a rune of kind k.
func (s *subset) enter(patterns uint64, k kind) {
	s.clear()
	for m := patterns; m != 0; m &= m - 1 {
		s.follow(s.start[bits.TrailingZeros64(m)], holding(k, other)&beginConditions, beginConditions)
	}
}

// holding returns the conditions that hold between two kinds.
func holding(before, after kind) syntax.EmptyOp {
	return syntax.EmptyOpContext(specimen[before], specimen[after])
}

// clear begins a walk.
func (s *subset) clear() {
	s.walk++
	s.reached = s.reached[:0]
	s.complete = 0
}

// follow walks from pc to all instructions that are reached without reading, given which conditions are known and which
// of these hold. It adds threads to reached, and patterns to complete.
func (s *subset) follow(pc uint32, hold, known syntax.EmptyOp) {
	s.stack = append(s.stack[:0], pc)
	for len(s.stack) > 0 {
		pc := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		s.left--
		if s.seen[pc] == s.walk {
			continue
		}
		s.seen[pc] = s.walk
		in := &s.insts[pc]
		switch in.op {
		case syntax.InstAlt:
			s.stack = append(s.stack, in.out, in.arg)
		case syntax.InstNop:
			s.stack = append(s.stack, in.out)
		case syntax.InstMatch:
			s.complete |= 1 << in.pattern
		case syntax.InstRune:
			s.reached = append(s.reached, pc)
		case syntax.InstEmptyWidth:
			switch condition := syntax.EmptyOp(in.arg); {
			case condition&known == 0:
				s.reached = append(s.reached, pc)
			case condition&hold != 0:
				s.stack = append(s.stack, in.out)
			}
		}
	}
}

// intern returns the state of what the walk found behind a rune of kind k, where some patterns were complete before.
func (s *subset) intern(k kind, complete uint64) uint32 {
	complete |= s.complete | s.begin[k].matched
	first := len(s.threads)
	waiting := s.waits
	for _, pc := range s.reached {
		in := &s.insts[pc]
		if complete>>in.pattern&1 != 0 || s.begins[pc]>>k&1 != 0 {
			continue
		}
		s.threads = append(s.threads, pc)
		if in.op == syntax.InstEmptyWidth {
			waiting |= s.uses[in.pattern]
		}
	}
	threads := s.threads[first:]
	slices.Sort(threads)
	k = relevant(k, waiting)
	s.key = binary.LittleEndian.AppendUint64(append(s.key[:0], byte(k)), complete)
	for _, pc := range threads {
		s.key = append(s.key, byte(pc), byte(pc>>8), byte(pc>>16))
	}
	s.left -= len(threads)
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
	s.react(&s.own, s.threads[st.first:st.last], st.before)
	s.states[id].ended = (s.own.ended | s.begin[st.before].ended) &^ st.matched
	for c := range s.size {
		s.next = append(s.next, s.step(&st, c))
	}
	s.left -= len(s.size)
}

// react finds what becomes of threads behind a rune of kind before.
func (s *subset) react(r *reaction, threads []uint32, before kind) {
	for c := range r.takers {
		r.takers[c] = r.takers[c][:0]
	}
	s.waiting = s.waiting[:0]
	for _, pc := range threads {
		if s.insts[pc].op == syntax.InstEmptyWidth {
			s.waiting = append(s.waiting, pc)
		} else {
			s.take(r, pc, &everything)
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
			s.take(r, pc, &s.ofKind[k])
		}
	}
}

// pass walks from the threads that wait, when it is known which conditions hold.
func (s *subset) pass(hold syntax.EmptyOp) {
	s.clear()
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
func (s *subset) take(r *reaction, pc uint32, some *classSet) {
	s.members[s.insts[pc].arg].all(some, func(c int) {
		r.takers[c] = append(r.takers[c], pc)
		s.left--
	})
}

// step returns the state behind st, to whose own threads s.own is the reaction, and a rune of a class.
func (s *subset) step(st *state, class int) uint32 {
	k := s.kind[class]
	b := &s.begin[st.before]
	own, complete := s.own.takers[class], s.own.complete[k]
	anew := len(own) == 0 && complete == 0 && st.matched&s.free == 0
	if anew && b.next[class] != 0 {
		return b.next[class] - 1
	}
	complete |= b.complete[k] &^ st.matched
	s.clear()
	s.move(own, k, complete)
	s.move(b.takers[class], k, complete|st.matched)
	id := s.intern(k, complete)
	if anew {
		b.next[class] = id + 1
	}
	return id
}

// move walks from behind threads that have read a rune of kind k, but for those of some patterns.
func (s *subset) move(takers []uint32, k kind, without uint64) {
	for _, pc := range takers {
		if in := &s.insts[pc]; without>>in.pattern&1 == 0 {
			s.follow(in.out, holding(k, other)&beginConditions, beginConditions)
		}
	}
}
