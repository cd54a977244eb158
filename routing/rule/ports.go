package rule

import (
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Ports of a predicate are ranges: pairs of Numbers, the first and the last port of each. In canonical form they are in
// order, and between two of them is a port that is in neither.

// maxPort is the greatest port; 0 is none.
const maxPort = 1<<16 - 1

// HasPort reports whether a port is in one of the ranges of a DestinationPort's Numbers.
func HasPort(ranges []uint16, port uint16) bool {
	for i := 0; i+1 < len(ranges); i += 2 {
		if port <= ranges[i+1] {
			return port >= ranges[i]
		}
	}
	return false
}

// PortBlocks cuts the ranges of a DestinationPort's Numbers into blocks of 2^bits ports, the first of which is a
// multiple of that. Blocks are as networks are among addresses: of any two, one lies within the other, or they have
// nothing in common; and a block that lies within the ranges lies within one of theirs.
func PortBlocks(ranges []uint16) iter.Seq2[uint16, int] {
	return func(yield func(first uint16, size int) bool) {
		for i := 0; i+1 < len(ranges); i += 2 {
			end := int(ranges[i+1]) + 1
			for at := int(ranges[i]); at < end; {
				size := min(bits.TrailingZeros(uint(at)), bits.Len(uint(end-at))-1)
				if !yield(uint16(at), size) {
					return
				}
				at += 1 << size
			}
		}
	}
}

// WiderPorts is the block of 2^bits ports that a port lies within: its first port.
func WiderPorts(port uint16, bits int) uint16 { return uint16(int(port) &^ (1<<bits - 1)) }

// joinPorts brings ranges into canonical form.
func joinPorts(ranges []uint16) []uint16 {
	type span struct{ first, last uint16 }
	spans := make([]span, 0, len(ranges)/2)
	for i := 0; i+1 < len(ranges); i += 2 {
		spans = append(spans, span{ranges[i], ranges[i+1]})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.first) - int(b.first) })
	joined := make([]uint16, 0, len(ranges))
	for _, s := range spans {
		if n := len(joined); n > 0 && int(s.first) <= int(joined[n-1])+1 {
			joined[n-1] = max(joined[n-1], s.last)
		} else {
			joined = append(joined, s.first, s.last)
		}
	}
	return joined
}

// parsePorts reads a port, or a range such as 6000-6100.
func parsePorts(v string) (first, last uint16, fault *Error) {
	from, to, isRange := strings.Cut(v, "-")
	if first, fault = parsePort(v, from, 0); fault != nil {
		return 0, 0, fault
	}
	if !isRange {
		return first, first, nil
	}
	if last, fault = parsePort(v, to, len(from)+1); fault != nil {
		return 0, 0, fault
	}
	if last < first {
		return 0, 0, refusef(0, len(v), "write "+to+"-"+from, "the range ends before it begins")
	}
	return first, last, nil
}

// parsePort reads the port that stands at a place of v.
func parsePort(v, port string, at int) (uint16, *Error) {
	n, err := strconv.ParseUint(port, 10, 32)
	switch {
	case err == nil && port[0] != '0' && n <= maxPort:
		return uint16(n), nil
	case err == nil:
		return 0, refusef(at, len(port), "", "ports are numbers from 1 to %d, without zeros before them", maxPort)
	}
	hint := "write for example " + DestinationPort.example()
	address, after, ok := cutLast(v, ':')
	switch {
	case ok && isNumber(address) && isNumber(after):
		hint = "write the range with a hyphen: " + address + "-" + after
	case ok && isNumber(after):
		hint = "write the port alone: " + after
	case strings.ContainsAny(v, ", "):
		hint = "write several ports as several strings"
	case v == "*":
		hint = "leave it out to match any port"
	}
	return 0, refusef(at, max(1, len(port)), hint, "%q is no port", port)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// portNames writes ranges as parsePorts reads them.
func portNames(ranges []uint16) (names []string) {
	for i := 0; i+1 < len(ranges); i += 2 {
		name := strconv.Itoa(int(ranges[i]))
		if ranges[i+1] != ranges[i] {
			name += "-" + strconv.Itoa(int(ranges[i+1]))
		}
		names = append(names, name)
	}
	return names
}
