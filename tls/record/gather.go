package record

// Gather collects one record that straddles buffers. The zero value is empty.
type Gather struct{ n int }

// Add moves as much of b behind what is gathered in into as belongs to the record, and returns how much that was. When
// whole, into[:Len] is to be given to Open. The bytes of b behind what it took are the next record's. into must be the
// same memory until Reset; MaxRecord bytes are enough for any record.
func (g *Gather) Add(into, b []byte) (took int, whole bool) {
	for {
		need := headerLen
		if g.n >= headerLen {
			need += bodyLen(into)
		}
		if need > MaxRecord {
			return took, true // Open will refuse it by its header
		}
		n := copy(into[g.n:need], b[took:])
		g.n += n
		took += n
		if g.n < need {
			return took, false
		}
		if g.n > headerLen || bodyLen(into) == 0 {
			return took, true
		}
	}
}

// Len is the number of bytes gathered.
func (g *Gather) Len() int { return g.n }

// Reset makes g ready for another record.
func (g *Gather) Reset() { g.n = 0 }
