package proxy

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/plan"
)

// firstTarget is the endpoint of svc, by its index, that a client's new connection goes to: the next in the cycle, or,
// with ByClient, the client's own. A client without an address, on a unix socket, takes its turn in either case.
func (w *Worker) firstTarget(svc *plan.Service, client *[16]byte) uint16 {
	if !svc.ByClient || *client == [16]byte{} {
		return w.nextInCycle(svc)
	}
	return w.preferred(svc, client, 0)
}

// nextTarget is the endpoint to be tried when target, which was the one before, has failed; tries is how many have. It
// is below triesMax and below the number of endpoints. With ByClient the clients of an endpoint that fails are
// spread over all the others, each in its own order; in a cycle it is not the next, which may be the same one again.
func (w *Worker) nextTarget(svc *plan.Service, client *[16]byte, target uint16, tries uint8) uint16 {
	if !svc.ByClient || *client == [16]byte{} {
		return uint16((int(target) + 1) % len(svc.Endpoints))
	}
	return w.preferred(svc, client, tries)
}

// preferred is the endpoint at the given place, from 0 and below triesMax, in the client's order of preference. The
// order is that of rendezvous hashing: each pair of a client and an endpoint has a hash, made to a cost that is
// distributed exponentially with the endpoint's weight as its rate, and the least comes first. So an endpoint has its
// share of the clients, one that goes gives away its own and moves no others, and one that comes takes its share from
// all. Nothing but the two addresses goes into the hash: shards, restarts and other instances agree.
func (w *Worker) preferred(svc *plan.Service, client *[16]byte, place uint8) uint16 {
	var costs [triesMax]float64
	var order [triesMax]uint16
	seed := addressKey(client[:])
	even := len(svc.Cycle) == len(svc.Endpoints) // then the logarithm changes nothing in the order
	last := 0
	for i := range svc.Endpoints {
		ep := &svc.Endpoints[i]
		u := unitOf(seed ^ w.endpoints[ep.ID].key)
		cost := 1 - u
		if !even {
			cost = -math.Log(u) / float64(max(ep.Weight, 1))
		}
		at := last
		for at > 0 && cost < costs[at-1] {
			at--
		}
		if at > int(place) {
			continue
		}
		for j := min(last, int(place)); j > at; j-- {
			costs[j], order[j] = costs[j-1], order[j-1]
		}
		costs[at], order[at] = cost, uint16(i)
		last = min(last+1, int(place)+1)
	}
	return order[place]
}

// unitOf spreads h to a number between 0 and 1, neither of them included.
func unitOf(h uint64) float64 {
	return (float64(mixed(h)>>11) + 0.5) / (1 << 53)
}

const addressFactor = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio: spreads consecutive values

// mixed has every bit of h decide about every bit of what comes out.
func mixed(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 29
	h *= addressFactor
	return h ^ h>>32
}

// endpointKey is what an endpoint's address is in the hashes of preferred.
func endpointKey(a *engine.Addr) uint64 { return addressKey(a.Raw[:a.Len]) }

// addressKey is a hash of an address's bytes that is the same everywhere and always.
func addressKey(b []byte) uint64 {
	h := uint64(len(b)) * addressFactor
	for ; len(b) >= 8; b = b[8:] {
		h = folded(h^binary.LittleEndian.Uint64(b), 0xc2b2ae3d27d4eb4f)
	}
	for _, c := range b {
		h = folded(h^uint64(c), addressFactor)
	}
	return h
}

func folded(a, b uint64) uint64 {
	high, low := bits.Mul64(a^addressFactor, b)
	return high ^ low
}
