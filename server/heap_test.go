package server

import "testing"

// Memory is returned behind a burst, and when many connections have come to rest; not before, and not for little.
func TestHeapReturns(t *testing.T) {
	const mega = 1 << 20
	returned := heap{allocated: 100 * mega, held: 40 * mega, live: 20 * mega, rested: 10 * mega}
	burst, over := heap{allocated: 120 * mega}, heap{allocated: 130 * mega}
	for _, c := range []struct {
		what      string
		last, now heap
		want      bool
	}{
		{"nothing has happened", returned, returned, false},
		{"in a burst", burst, heap{allocated: 130 * mega, held: 60 * mega, live: 20 * mega}, false},
		{"behind it", over, heap{allocated: 130 * mega, held: 60 * mega, live: 20 * mega}, true},
		{"all of it is in use", over, heap{allocated: 130 * mega, held: 60 * mega, live: 50 * mega}, false},
		{"connections come to rest", returned, heap{allocated: 100 * mega, live: 20 * mega, rested: 15 * mega}, false},
		{"they have", heap{allocated: 100 * mega, rested: 15 * mega},
			heap{allocated: 100 * mega, live: 20 * mega, rested: 15 * mega}, true},
		{"a few have", heap{allocated: 100 * mega, rested: 12 * mega},
			heap{allocated: 100 * mega, live: 20 * mega, rested: 12 * mega}, false},
	} {
		c.now.rested = max(c.now.rested, returned.rested)
		c.last.rested = max(c.last.rested, returned.rested)
		if got := c.now.behindBurst(c.last, returned) || c.now.atRest(c.last, returned); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
