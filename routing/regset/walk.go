package regset

import "regexp/syntax"

// beginConditions look at what stands before them, so that they are decided when a thread reaches them. The others have
// to wait for what comes next: a thread that waits stands before its condition.
const beginConditions = syntax.EmptyBeginText | syntax.EmptyBeginLine

const allConditions = beginConditions | syntax.EmptyEndText | syntax.EmptyEndLine | wordConditions

// holding returns the conditions that hold between two kinds.
func holding(before, after kind) syntax.EmptyOp {
	return syntax.EmptyOpContext(specimen[before], specimen[after])
}

// walk follows instructions that read nothing, each once, to where threads stand.
type walk struct {
	insts    []inst
	left     int      // steps that may be taken; it goes below 0
	number   uint32   // of this walk
	seen     []uint32 // for each instruction, the walk that came by last
	stack    []uint32 // scratch: instructions that are still to be followed
	reached  []uint32 // where threads stand
	complete uint64   // patterns whose end was reached
}

// setOut begins a walk.
func (w *walk) setOut() {
	w.number++
	w.reached = w.reached[:0]
	w.complete = 0
}

// follow walks from pc to all instructions that are reached without reading, given which conditions are known and which
// of these hold. It adds threads to reached, and patterns to complete.
func (w *walk) follow(pc uint32, hold, known syntax.EmptyOp) {
	stack := append(w.stack[:0], pc)
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		w.left--
		if w.seen[pc] == w.number {
			continue
		}
		w.seen[pc] = w.number
		in := &w.insts[pc]
		switch in.op {
		case syntax.InstAlt:
			stack = append(stack, in.out, in.arg)
		case syntax.InstNop:
			stack = append(stack, in.out)
		case syntax.InstMatch:
			w.complete |= 1 << in.pattern
		case syntax.InstRune:
			w.reached = append(w.reached, pc)
		case syntax.InstEmptyWidth:
			switch condition := syntax.EmptyOp(in.arg); {
			case condition&known == 0:
				w.reached = append(w.reached, pc)
			case condition&hold != 0:
				stack = append(stack, in.out)
			}
		}
	}
	w.stack = stack
}
