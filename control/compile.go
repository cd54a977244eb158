package control

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// identities numbers services and endpoints from 0, without gaps. A number is never given to another name or address:
// exchanges that began on an old snapshot still go by it.
type identities struct {
	services  map[string]uint32
	endpoints map[endpointKey]uint32
}

type endpointKey struct {
	addr netip.AddrPort
	unix string
}

func newIdentities() identities {
	return identities{map[string]uint32{}, map[endpointKey]uint32{}}
}

func identify[K comparable](ids map[K]uint32, key K) uint32 {
	id, ok := ids[key]
	if !ok {
		id = uint32(len(ids))
		ids[key] = id
	}
	return id
}

// compile makes the next snapshot of cfg. What cannot change while the process lives comes from m.boot.
func (m *Manager) compile(cfg *config.Config, found names) (*plan.Snapshot, error) {
	s := &plan.Snapshot{
		Generation: 1, Source: cfg.Source, Created: time.Now(),
		Limits: cfg.Limits, Timeouts: cfg.Timeouts, Forward: cfg.Forward, AccessLog: m.boot.AccessLog,
	}
	if m.last != nil {
		s.Generation = m.last.Generation + 1
	}
	s.Limits.Connections = m.boot.Limits.Connections
	s.Limits.BuffersPerShard = m.boot.Limits.BuffersPerShard
	index := map[string]int{}
	for i, service := range cfg.Services {
		index[service.Name] = i
		s.Services = append(s.Services, m.service(service, found))
	}
	for _, r := range cfg.Routes {
		s.Routes = append(s.Routes, plan.Route{Name: r.Name, Service: index[r.Service]})
	}
	for i, now := range sameSockets(m.boot.Listeners, cfg.Listeners) {
		l, err := listener(m.boot.Listeners[i], now, cfg.Routes)
		if err != nil {
			return nil, err
		}
		s.Listeners = append(s.Listeners, l)
	}
	return s, nil
}

// sameSockets pairs each listener of the start with the one that now stands for its socket: that with the same address,
// whatever its name, else that with the same name, whatever its address. A listener that is gone has nil.
func sameSockets(boot, now []*config.Listener) []*config.Listener {
	pairs := make([]*config.Listener, len(boot))
	used := make([]bool, len(now))
	pair := func(same func(a, b *config.Listener) bool) {
		for i := range boot {
			for j := range now {
				if pairs[i] == nil && !used[j] && same(boot[i], now[j]) {
					pairs[i], used[j] = now[j], true
				}
			}
		}
	}
	pair(func(a, b *config.Listener) bool { return a.Addr == b.Addr && a.Unix == b.Unix })
	pair(func(a, b *config.Listener) bool { return a.Name == b.Name })
	return pairs
}

// listener compiles the listener that was boot at the start and is now now. One that is gone from the configuration
// stays open until the next start, with the routes that are for every listener.
func listener(boot, now *config.Listener, routes []*config.Route) (plan.Listener, error) {
	if now == nil {
		now = &config.Listener{Name: boot.Name, Trusted: boot.Trusted}
	}
	var rules []routing.Rule
	for i, r := range routes {
		if len(r.Listeners) == 0 || slices.Contains(r.Listeners, now.Name) {
			rules = append(rules, routing.Rule{Name: r.Name, Hosts: r.Hosts, Prefixes: r.Prefixes, Route: i})
		}
	}
	table, err := routing.Compile(rules)
	if err != nil {
		return plan.Listener{}, fmt.Errorf("compile routes of listener %q: %w", now.Name, err)
	}
	return plan.Listener{Name: now.Name, Addr: boot.Addr, Unix: boot.Unix, Trusted: now.Trusted, Table: table}, nil
}

// service compiles a service: every address of an endpoint's name becomes an endpoint of its own with the full weight,
// and an address that comes up twice becomes one endpoint with the sum.
func (m *Manager) service(c *config.Service, found names) plan.Service {
	s := plan.Service{Name: c.Name, ID: identify(m.ids.services, c.Name)}
	var weights []int
	at := map[endpointKey]int{}
	for _, e := range c.Endpoints {
		for _, key := range addresses(e, found) {
			if i, ok := at[key]; ok {
				weights[i] += e.Weight
				continue
			}
			at[key] = len(weights)
			weights = append(weights, e.Weight)
			s.Endpoints = append(s.Endpoints, plan.Endpoint{
				ID: identify(m.ids.endpoints, key), Name: e.URL, Addr: key.addr, Unix: key.unix,
			})
		}
	}
	s.Cycle = cycle(weights)
	return s
}

func addresses(e config.Endpoint, found names) []endpointKey {
	if e.Unix != "" {
		return []endpointKey{{unix: e.Unix}}
	}
	if ip, err := netip.ParseAddr(e.Host); err == nil {
		return []endpointKey{{addr: netip.AddrPortFrom(ip, e.Port)}}
	}
	var keys []endpointKey
	for _, ip := range found[e.Host] {
		keys = append(keys, endpointKey{addr: netip.AddrPortFrom(ip, e.Port)})
	}
	return keys
}

// pending names the settings that differ from those of the start although the process cannot change them.
func pending(boot, now *config.Config, levelFollows bool) []string {
	var keys []string
	differ := func(key string, differs bool) {
		if differs {
			keys = append(keys, key)
		}
	}
	differ("engine.backend", boot.Engine.Backend != now.Engine.Backend)
	differ("engine.tier", boot.Engine.Tier != now.Engine.Tier)
	differ("engine.shards", boot.Engine.Shards != now.Engine.Shards)
	differ("engine.pin", boot.Engine.Pin != now.Engine.Pin)
	differ("limits.max_connections", boot.Limits.Connections != now.Limits.Connections)
	differ("limits.shard_buffer_bytes", boot.Limits.BuffersPerShard != now.Limits.BuffersPerShard)
	differ("log.level", boot.LogLevel != now.LogLevel && !levelFollows)
	differ("log.access.path", boot.AccessLog.Path != now.AccessLog.Path)
	differ("log.access.format", boot.AccessLog.Format != now.AccessLog.Format)
	return append(keys, pendingListeners(boot.Listeners, now.Listeners)...)
}

func pendingListeners(boot, now []*config.Listener) []string {
	var keys []string
	kept := map[string]bool{}
	for i, l := range sameSockets(boot, now) {
		switch {
		case l == nil:
			keys = append(keys, fmt.Sprintf("listeners.%s (removed)", boot[i].Name))
			continue
		case l.Addr != boot[i].Addr || l.Unix != boot[i].Unix:
			keys = append(keys, fmt.Sprintf("listeners.%s.address", l.Name))
		}
		kept[l.Name] = true
	}
	for _, l := range now {
		if !kept[l.Name] {
			keys = append(keys, fmt.Sprintf("listeners.%s (added)", l.Name))
		}
	}
	return keys
}
