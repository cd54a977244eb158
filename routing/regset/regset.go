// Package regset matches many regular expressions at once: up to 64 of them are one Set, which reads its input once and
// says which of them match.
//
// It owns the way from text to tables: expressions are parsed by regexp/syntax and compiled to its programs
// (program.go), the runes are divided into classes that no expression tells apart (alphabet.go), and the programs run
// together through every input there can be, which leaves a deterministic automaton (subset.go, layout.go). Matching is
// one look-up a rune (automaton.go). What would make an automaton too large is distributed over several, and an
// expression that is too large alone is Loose and runs on Go's regexp (set.go).
//
// The dialect is that of Go's regexp, and so is the result, byte for byte, on any input, whether it is UTF-8 or not. A
// Set is immutable and safe for concurrent use; matching neither allocates nor locks, except in expressions that are
// Loose. Compiling takes time and memory within bounds that do not depend on what the expressions say, and has the same
// result each time. The package imports the standard library only, and may be imported by both planes.
package regset

// Bounds of what is compiled. An expression above them is refused.
const (
	// Max is the number of expressions that a Set can hold.
	Max = 64
	// MaxLength is the length of an expression, in bytes.
	MaxLength = 8 << 10
	// MaxSize is the number of instructions that an expression compiles to, about one for each character, with
	// repetitions written out: a{50} is 50.
	MaxSize = 8 << 10
	// maxRanges is the number of runes that bound the ranges of an expression's character classes; \pL has 1,292.
	maxRanges = 64 << 10
)

// limits bounds an automaton, and the construction of all automata of a set.
type limits struct {
	// cells is the size of an automaton's table. Its cells are 16 bits wide and name a state by the cell in which its
	// row begins, so that there can be no more than 1<<16.
	cells int
	// states is the number of states.
	states int
	// work is how much construction an automaton is worth, in steps of some 10 ns each. When not all expressions fit
	// one automaton, one that takes more than an eighth of it alone is loose. A set takes 34 times as much at most.
	work int
}

// standard is what Compile uses. 64 expressions as they stand in routes take an eighth of the work and half of the
// cells. More would be spent on attempts that fail anyway, since what multiplies states does so with every expression
// that is added; and a table of 128 KiB stays in a core's cache.
var standard = limits{cells: 1 << 16, states: 1 << 12, work: 1 << 20}
