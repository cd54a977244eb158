package regset

import "unicode/utf8"

// Columns of a row of the table that are no class.
const (
	matched = iota // index in masks: patterns that have matched when the state is reached
	ended          // index in masks: patterns that match if the text ends here
	columns
)

// automaton is a deterministic automaton. The table has a row for each state, and in the row a column for each class:
// the cell in which the next state's row begins.
//
// Rows are ordered by what there is to do on reaching the state. First come those where reading ends, since nothing
// can change any more. Then come those with patterns that have matched, which are collected on the way: if they were
// kept in the states there would be one for each subset of the patterns. The others need no look at all.
type automaton struct {
	table  []uint16
	masks  []uint64
	column [256]uint8 // of the bytes that are a rune; 0 for the others
	lows   []rune     // where the ranges of runes above ASCII begin; ascending
	wide   []uint8    // column of each range
	start  uint32     // the row of the first state
	final  uint32     // rows below end the reading
	event  uint32     // rows below have a mask of patterns that have matched
	all    uint64     // the patterns of this automaton
}

// match returns the patterns that match b.
func (a *automaton) match(b []byte) uint64 {
	table := a.table
	row := uint(a.start)
	found := a.masks[table[row+matched]]
	if row < uint(a.final) || found == a.all {
		return found | a.masks[table[row+ended]]
	}
	for i := 0; i < len(b); i++ {
		column := uint(a.column[b[i]])
		if column == 0 {
			r, n := utf8.DecodeRune(b[i:])
			column = a.columnOf(r)
			i += n - 1
		}
		row = uint(table[row+column])
		if row < uint(a.event) {
			found |= a.masks[table[row+matched]]
			if row < uint(a.final) || found == a.all {
				break
			}
		}
	}
	return found | a.masks[table[row+ended]]
}

// columnOf finds the column of a rune above ASCII.
func (a *automaton) columnOf(r rune) uint {
	low, high := 0, len(a.lows)
	for high-low > 1 {
		middle := int(uint(low+high) >> 1)
		if a.lows[middle] <= r {
			low = middle
		} else {
			high = middle
		}
	}
	return uint(a.wide[low])
}

// bytes is the memory that a refers to, and its own.
func (a *automaton) bytes() int {
	const own = 3*24 + 24 + 256 + 3*4 + 4 + 8
	return own + 2*len(a.table) + 8*len(a.masks) + 4*len(a.lows) + len(a.wide)
}
