package regset

import "unicode/utf8"

// layout writes the states down as an automaton.
func (s *subset) layout() automaton {
	a := automaton{all: s.patterns}
	stride := uint32(len(s.size) + columns)
	rows, finals, events := s.order()
	a.final, a.event = finals*stride, events*stride
	a.start = rows[0] * stride
	a.table = make([]uint16, len(rows)*int(stride))
	masks := map[uint64]uint16{}
	mask := func(m uint64) uint16 {
		i, known := masks[m]
		if !known {
			i = uint16(len(a.masks))
			masks[m] = i
			a.masks = append(a.masks, m)
		}
		return i
	}
	for id := range s.states {
		row := a.table[rows[id]*stride:][:stride]
		row[matched] = mask(s.states[id].matched)
		row[ended] = mask(s.states[id].ended)
		for c, next := range s.row(id) {
			row[columns+c] = uint16(rows[next] * stride)
		}
	}
	s.spread(&a)
	return a
}

// row returns the states that follow a state, by class.
func (s *subset) row(id int) []uint32 { return s.next[id*len(s.size):][:len(s.size)] }

// order returns the number of each state's row: finals come first, then up to events those that have matched.
func (s *subset) order() (rows []uint32, finals, events uint32) {
	const final, event, plain = 0, 1, 2
	rank := make([]uint8, len(s.states))
	var count [3]uint32
	for id := range rank {
		rank[id] = plain
		if s.final(id) {
			rank[id] = final
		} else if s.states[id].matched != 0 {
			rank[id] = event
		}
		count[rank[id]]++
	}
	place := [3]uint32{final: 0, event: count[final], plain: count[final] + count[event]}
	rows = make([]uint32, len(rank))
	for id, r := range rank {
		rows[id] = place[r]
		place[r]++
	}
	return rows, count[final], count[final] + count[event]
}

// final says whether nothing that is read in a state can change the result: no way leads out of it, or all ways that
// do lead to where nothing matches any more.
func (s *subset) final(id int) bool {
	for _, next := range s.row(id) {
		if int(next) != id && (s.states[id].ended != 0 || !s.dead(int(next))) {
			return false
		}
	}
	return true
}

// dead says whether no pattern matches in a state and none will.
func (s *subset) dead(id int) bool {
	if s.states[id].matched|s.states[id].ended != 0 {
		return false
	}
	for _, next := range s.row(id) {
		if int(next) != id {
			return false
		}
	}
	return true
}

// spread writes down the class of each rune.
func (s *subset) spread(a *automaton) {
	for i, low := range s.lows {
		column := s.class[i] + columns
		if low >= utf8.RuneSelf {
			if n := len(a.wide); n == 0 || a.wide[n-1] != column {
				a.lows = append(a.lows, low)
				a.wide = append(a.wide, column)
			}
			continue
		}
		// There is always a range that begins with the first rune above ASCII.
		for r := low; r < s.lows[i+1]; r++ {
			a.column[r] = column
		}
	}
}
