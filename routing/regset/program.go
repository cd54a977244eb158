package regset

import (
	"encoding/binary"
	"regexp/syntax"
	"unicode"
)

// inst is an instruction of a program.
type inst struct {
	op      syntax.InstOp // InstRune stands for all instructions that read a rune
	pattern uint8
	out     uint32
	arg     uint32 // InstAlt: the other way out. InstEmptyWidth: the condition. InstRune: index in program.sets
}

// program is the instructions of all expressions of a set, one after the other.
type program struct {
	insts []inst
	start []uint32         // of each pattern
	uses  []syntax.EmptyOp // conditions in each pattern
	bound uint64           // patterns that match from the beginning of the text only
	sets  [][]rune         // what instructions accept, each once: pairs of lowest and highest rune, ascending

	bySet map[string]uint32 // index in sets, by content
}

// add appends the program of the next pattern.
func (p *program) add(prog *syntax.Prog) {
	pattern := uint8(len(p.start))
	base := uint32(len(p.insts))
	uses := syntax.EmptyOp(0)
	classes := map[*rune]uint32{}
	for i := range prog.Inst {
		from := &prog.Inst[i]
		to := inst{op: from.Op, pattern: pattern, out: base + from.Out}
		switch from.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			to.op, to.arg = syntax.InstAlt, base+from.Arg
		case syntax.InstCapture:
			to.op = syntax.InstNop
		case syntax.InstEmptyWidth:
			to.arg = from.Arg
			uses |= syntax.EmptyOp(from.Arg)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			to.op, to.arg = syntax.InstRune, p.setOf(from, classes)
		}
		p.insts = append(p.insts, to)
	}
	p.start = append(p.start, base+uint32(prog.Start))
	p.uses = append(p.uses, uses)
	if prog.StartCond()&syntax.EmptyBeginText != 0 {
		p.bound |= 1 << pattern
	}
}

// setOf returns the index of the runes that an instruction accepts. classes has the large ones of the pattern, which
// instructions share where a repetition is written out.
func (p *program) setOf(i *syntax.Inst, classes map[*rune]uint32) uint32 {
	if len(i.Rune) < 2 {
		return p.set(ranges(i))
	}
	id, known := classes[&i.Rune[0]]
	if !known {
		id = p.set(i.Rune)
		classes[&i.Rune[0]] = id
	}
	return id
}

// ranges returns the runes that an instruction accepts which has one at most, as pairs.
func ranges(i *syntax.Inst) []rune {
	if len(i.Rune) == 0 {
		return nil
	}
	r := i.Rune[0]
	pairs := []rune{r, r}
	if syntax.Flags(i.Arg)&syntax.FoldCase == 0 {
		return pairs
	}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		pairs = append(pairs, f, f)
	}
	// The orbit rises until it returns to its lowest rune, which need not be where it began.
	for pairs[0] > pairs[len(pairs)-1] {
		pairs = append(pairs[2:], pairs[:2]...)
	}
	return pairs
}

// set returns the index of a set of runes.
func (p *program) set(pairs []rune) uint32 {
	key := make([]byte, 0, 256)
	for _, r := range pairs {
		key = binary.LittleEndian.AppendUint32(key, uint32(r))
	}
	id, known := p.bySet[string(key)]
	if !known {
		if p.bySet == nil {
			p.bySet = map[string]uint32{}
		}
		id = uint32(len(p.sets))
		p.sets = append(p.sets, pairs)
		p.bySet[string(key)] = id
	}
	return id
}
