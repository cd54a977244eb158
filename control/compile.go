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

// compile makes the next snapshot of cfg. What cannot change while the process lives comes from m.boot.
func (m *Manager) compile(cfg *config.Config, found names) (*plan.Snapshot, error) {
	s := &plan.Snapshot{
		Generation: 1, Source: cfg.Source, Created: time.Now(),
		Limits: cfg.Limits, Timeouts: cfg.Timeouts, Paths: cfg.Paths, Forward: cfg.Forward,
		AccessLog: m.boot.AccessLog,
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
	var err error
	s.Listeners, err = m.listeners(cfg)
	return s, err
}

// listeners compiles the listeners, each in the place of its ID; the others that there have been are vacant.
func (m *Manager) listeners(cfg *config.Config) ([]plan.Listener, error) {
	ids := make([]uint32, len(cfg.Listeners))
	for i, l := range cfg.Listeners {
		var err error
		if ids[i], err = m.ids.seat(l); err != nil {
			return nil, err
		}
	}
	all := slices.Clone(m.ids.vacant)
	for i, l := range cfg.Listeners {
		var err error
		if all[ids[i]].Table, err = table(l, cfg.Routes); err != nil {
			return nil, err
		}
		all[ids[i]].Trusted = l.Trusted
	}
	return all, nil
}

// table compiles the routes of a listener.
func table(l *config.Listener, routes []*config.Route) (*routing.Table, error) {
	var rules []routing.Rule
	for i, r := range routes {
		if len(r.Listeners) == 0 || slices.Contains(r.Listeners, l.Name) {
			rules = append(rules, routing.Rule{Name: r.Name, Hosts: r.Hosts, Prefixes: r.Prefixes, Route: i})
		}
	}
	compiled, err := routing.Compile(rules)
	if err != nil {
		return nil, fmt.Errorf("compile routes of listener %q: %w", l.Name, err)
	}
	return compiled, nil
}

// service compiles a service: every address of an endpoint's name becomes an endpoint of its own with the full weight,
// and an address that comes up twice becomes one endpoint with the sum.
func (m *Manager) service(c *config.Service, found names) plan.Service {
	s := plan.Service{Name: c.Name, ID: identify(m.ids.services, c.Name)}
	var weights []int
	at := map[address]int{}
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

// addresses are those of an endpoint.
func addresses(e config.Endpoint, found names) []address {
	if e.Unix != "" {
		return []address{{unix: e.Unix}}
	}
	if ip, err := netip.ParseAddr(e.Host); err == nil {
		return []address{{addr: netip.AddrPortFrom(ip, e.Port)}}
	}
	var keys []address
	for _, ip := range found[e.Host] {
		keys = append(keys, address{addr: netip.AddrPortFrom(ip, e.Port)})
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
	a, b := boot.Admin, now.Admin
	differ("admin.address", a.Addr != b.Addr || a.Unix != b.Unix || a.Off != b.Off)
	differ("limits.max_connections", boot.Limits.Connections != now.Limits.Connections)
	differ("limits.shard_buffer_bytes", boot.Limits.BuffersPerShard != now.Limits.BuffersPerShard)
	differ("log.level", boot.LogLevel != now.LogLevel && !levelFollows)
	differ("log.access.path", boot.AccessLog.Path != now.AccessLog.Path)
	differ("log.access.format", boot.AccessLog.Format != now.AccessLog.Format)
	return keys
}
