package rule

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPortBlocks: blocks are what the ranges are, each as large as it can be, and any two lie within one another or
// apart.
func TestPortBlocks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	lists := [][]uint16{nil, {1, 65535}, {1, 1}, {65535, 65535}, {32768, 65535}, {1, 2, 4, 4, 8, 8}}
	for range 200 {
		var list []uint16
		for range rnd.IntN(4) {
			first := 1 + rnd.IntN(maxPort)
			list = append(list, uint16(first), uint16(first+rnd.IntN(maxPort-first+1)))
		}
		lists = append(lists, joinPorts(list))
	}
	for _, ranges := range lists {
		var in [maxPort + 1]bool
		for first, bits := range PortBlocks(ranges) {
			for i := range 1 << bits {
				if in[int(first)+i] {
					t.Fatalf("%v: port %d is in two blocks", ranges, int(first)+i)
				}
				in[int(first)+i] = true
			}
			wider := WiderPorts(first, bits+1)
			if WiderPorts(first, bits) != first || HasPort(ranges, wider) && HasPort(ranges, wider+(2<<bits-1)) &&
				within(ranges, wider, wider+(2<<bits-1)) {
				t.Fatalf("%v: the block of %d bits from %d on", ranges, bits, first)
			}
		}
		for port := range in {
			if in[port] != HasPort(ranges, uint16(port)) {
				t.Fatalf("%v: port %d", ranges, port)
			}
		}
	}
}

// within reports whether one of ranges has all ports from first to last.
func within(ranges []uint16, first, last uint16) bool {
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i] <= first && last <= ranges[i+1] {
			return true
		}
	}
	return false
}

// TestPortRules: what conditions on ports leave of one another.
func TestPortRules(t *testing.T) {
	for text, want := range map[string]string{
		"DestinationPort(`1-9`) && DestinationPort(`5-20`)":  "DestinationPort(`5-9`)",
		"DestinationPort(`1-9`) && DestinationPort(`10`)":    "impossible",
		"DestinationPort(`4-7`) && !DestinationPort(`1-9`)":  "impossible",
		"DestinationPort(`4-7`) && !DestinationPort(`9`)":    "DestinationPort(`4-7`)",
		"DestinationPort(`1-9`) && !DestinationPort(`5`)":    "DestinationPort(`1-9`) && !DestinationPort(`5`)",
		"!DestinationPort(`1-2`) && !DestinationPort(`3-4`)": "!DestinationPort(`1-4`)",
		"DestinationPort(`1`) || DestinationPort(`2`)":       "DestinationPort(`1`)\nDestinationPort(`2`)",
		"DestinationPort(`80`) && ClientIP(`::1`) && ALPN(`h2`)": "DestinationPort(`80`) && ClientIP(`::1`) && " +
			"ALPN(`h2`)",
	} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		x, err := e.Expand()
		if err != nil {
			t.Fatal(err)
		}
		got := show(&x)
		if len(x.Alternatives) == 0 {
			got = "impossible"
		}
		if got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
	numbers := slices.Clone(joinPorts([]uint16{5, 5, 1, 3, 4, 4, 7, 7}))
	if !slices.Equal(numbers, []uint16{1, 5, 7, 7}) {
		t.Errorf("joined: %v", numbers)
	}
}
