package control

import (
	"fmt"
	"net/netip"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// identities numbers services, endpoints, streams and listeners from 0. The number of a listener's address is never
// given to another one.
type identities struct {
	services  numbering[string]
	endpoints numbering[address]
	streams   numbering[streamName]
	listeners map[address]uint32
	vacant    []plan.Listener // by ID: what is left of a listener that goes
}

// address is that of a listener or an endpoint: a path when it is a unix socket. The same address with other TLS is
// another endpoint, and with datagrams another endpoint or listener.
type address struct {
	addr      netip.AddrPort
	unix      string
	datagrams bool              // UDP's
	tls       *handshake.Client // nil: spoken to plainly
}

// streamName is the name of a route of streams: there are those for connections, and those for datagrams.
type streamName struct {
	name      string
	datagrams bool
}

// maxListeners is how many addresses a process can listen on in its life: the engine's events have 16 bits for the ID.
const maxListeners = 1 << 16

func newIdentities() identities {
	return identities{
		services:  numbering[string]{ids: map[string]uint32{}},
		endpoints: numbering[address]{ids: map[address]uint32{}},
		streams:   numbering[streamName]{ids: map[streamName]uint32{}},
		listeners: map[address]uint32{},
	}
}

// settle gives up the numbers of what s and all snapshots that are in use lack; oldest is the generation of the oldest
// of these, 0 when that is not known.
func (ids *identities) settle(s *plan.Snapshot, oldest uint64) {
	ids.services.round++
	ids.endpoints.round++
	ids.streams.round++
	for i := range s.Services {
		ids.services.keep(s.Services[i].ID)
		for j := range s.Services[i].Endpoints {
			ids.endpoints.keep(s.Services[i].Endpoints[j].ID)
		}
	}
	for i := range s.Streams {
		if s.Streams[i].Name != "" {
			ids.streams.keep(s.Streams[i].ID)
		}
	}
	ids.services.settle(s.Generation, oldest)
	ids.endpoints.settle(s.Generation, oldest)
	ids.streams.settle(s.Generation, oldest)
}

// numbering gives keys small numbers. What shards know of a number is an entry of an array, and exchanges that began on
// an old snapshot still go by it: the number of a key that went is given to another one when no shard uses a snapshot
// any more that has the old key.
type numbering[K comparable] struct {
	ids    map[K]uint32
	owners []owner[K] // by number
	free   []uint32
	round  uint64 // counts the snapshots that were settled
}

// owner is who has a number.
type owner[K comparable] struct {
	key    K
	free   bool
	round  uint64 // of the last snapshot that had it
	goneIn uint64 // the generation of the first snapshot that had it no more; 0: none yet
}

// identify is the number of key: the one it has, or one that nobody has.
func (n *numbering[K]) identify(key K) uint32 {
	if id, ok := n.ids[key]; ok {
		return id
	}
	id := uint32(len(n.owners))
	if last := len(n.free) - 1; last >= 0 {
		id, n.free = n.free[last], n.free[:last]
		n.owners[id] = owner[K]{key: key}
	} else {
		n.owners = append(n.owners, owner[K]{key: key})
	}
	n.ids[key] = id
	return id
}

// keep tells that the snapshot of this round has the number.
func (n *numbering[K]) keep(id uint32) { n.owners[id].round, n.owners[id].goneIn = n.round, 0 }

// settle ends a round, the snapshot's of that generation. A generation that could not be installed has its number again
// in the next round: then what went in the first and came back was kept meanwhile, and nothing was given up too soon.
func (n *numbering[K]) settle(generation, oldest uint64) {
	for id := range n.owners {
		o := &n.owners[id]
		switch {
		case o.free || o.round == n.round:
		case o.goneIn == 0:
			o.goneIn = generation
		case o.goneIn <= oldest:
			delete(n.ids, o.key)
			*o = owner[K]{free: true}
			n.free = append(n.free, uint32(id))
		}
	}
}

// seat gives l its ID.
func (ids *identities) seat(l *config.Listener) (uint32, error) {
	key := address{addr: l.Addr, unix: l.Unix, datagrams: l.Protocol == plan.UDP}
	id, ok := ids.listeners[key]
	if !ok && len(ids.listeners) == maxListeners {
		return 0, fmt.Errorf("listen on another address: %d were used since the start; restart the process",
			maxListeners)
	}
	if !ok {
		id = uint32(len(ids.listeners))
		ids.listeners[key] = id
		ids.vacant = append(ids.vacant, plan.Listener{Addr: l.Addr, Unix: l.Unix})
	}
	ids.vacant[id].Name, ids.vacant[id].Protocol = l.Name, l.Protocol
	return id, nil
}
