package control

import (
	"fmt"
	"net/netip"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
)

// identities numbers services, endpoints and listeners from 0, without gaps. A number is never given to another name or
// address: exchanges that began on an old snapshot still go by it.
type identities struct {
	services  map[string]uint32
	endpoints map[address]uint32
	listeners map[address]uint32
	vacant    []plan.Listener // by ID: what is left of a listener that goes
}

// address is that of a listener or an endpoint: a path when it is a unix socket.
type address struct {
	addr netip.AddrPort
	unix string
}

// maxListeners is how many addresses a process can listen on in its life: the engine's events have 16 bits for the ID.
const maxListeners = 1 << 16

func newIdentities() identities {
	return identities{services: map[string]uint32{}, endpoints: map[address]uint32{}, listeners: map[address]uint32{}}
}

func identify[K comparable](ids map[K]uint32, key K) uint32 {
	id, ok := ids[key]
	if !ok {
		id = uint32(len(ids))
		ids[key] = id
	}
	return id
}

// seat gives l its ID.
func (ids *identities) seat(l *config.Listener) (uint32, error) {
	key := address{l.Addr, l.Unix}
	if _, ok := ids.listeners[key]; !ok && len(ids.listeners) == maxListeners {
		return 0, fmt.Errorf("listen on another address: %d were used since the start; restart the process",
			maxListeners)
	}
	id := identify(ids.listeners, key)
	if int(id) == len(ids.vacant) {
		ids.vacant = append(ids.vacant, plan.Listener{Addr: l.Addr, Unix: l.Unix})
	}
	ids.vacant[id].Name = l.Name
	return id, nil
}
