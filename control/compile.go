package control

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// compile makes the next snapshot of cfg. What cannot change while the process lives comes from m.boot.
func (m *Manager) compile(cfg *config.Config, w world) (*plan.Snapshot, error) {
	s := &plan.Snapshot{
		Generation: 1, Source: cfg.Source, Created: time.Now(),
		Limits: cfg.Limits, Timeouts: cfg.Timeouts, Paths: cfg.Paths, Forward: cfg.Forward,
		AccessLog: m.boot.accessLog,
	}
	if m.last != nil {
		s.Generation = m.last.Generation + 1
	}
	s.Limits.Connections = m.boot.limits.Connections
	s.Limits.BuffersPerShard = m.boot.limits.BuffersPerShard
	s.Limits.Sessions = m.boot.limits.Sessions
	same := m.made.services != nil && slices.Equal(m.made.services, cfg.Services)
	s.Services = m.services(cfg.Services, w)
	fresh, err := m.tables.update(cfg.Routes)
	if err == nil {
		err = m.streams.update(cfg)
	}
	if err != nil {
		m.forget()
		var bad *badRoute
		if errors.As(err, &bad) {
			return nil, bad.in(cfg)
		}
		return nil, err
	}
	if same {
		s.Routes = m.tables.patched(m.made.snapshot.Routes, cfg.Services, fresh)
	} else {
		s.Routes = m.tables.routes(cfg.Services)
	}
	s.Streams = m.streams.compile(cfg.Services, &m.ids)
	if s.Listeners, err = m.listeners(cfg, w.secured); err != nil {
		m.forget() // the tables have gone on, what was made last has not
		return nil, err
	}
	for i := range s.Listeners {
		tls := s.Listeners[i].TLS
		s.Vouches = s.Vouches || tls != nil && tls.Forward != 0
	}
	m.settle(cfg, s)
	m.made = made{cfg.Services, w, s}
	return s, nil
}

// made is what compile made last, whether or not it was installed: what has not changed since is taken from there.
type made struct {
	services []*config.Service
	world    world
	snapshot *plan.Snapshot
}

// settle tells the metrics what the snapshot that was made of cfg counts, and gives up the IDs of what is no more.
func (m *Manager) settle(cfg *config.Config, s *plan.Snapshot) {
	d := m.opts.Directory
	m.ids.settle(s, d.Oldest())
	d.Settle(metrics.ListenerSeries, s.Generation, s.Created, func(name string) bool {
		return slices.ContainsFunc(cfg.Listeners, func(l *config.Listener) bool { return l.Name == name })
	})
	d.Settle(metrics.ServiceSeries, s.Generation, s.Created, func(name string) bool {
		_, ok := find(cfg.Services, name)
		return ok
	})
	d.Settle(metrics.RouteSeries, s.Generation, s.Created, func(name string) bool {
		_, ok := m.tables.seats[name]
		return ok
	})
	d.Settle(metrics.StreamSeries, s.Generation, s.Created, func(name string) bool {
		_, ok := m.streams.connections.seats[name]
		return ok
	})
	d.Settle(metrics.DatagramSeries, s.Generation, s.Created, func(name string) bool {
		_, ok := m.streams.datagrams.seats[name]
		return ok
	})
}

// find is the index of a service in a list in order of names.
func find(services []*config.Service, name string) (int, bool) {
	return slices.BinarySearchFunc(services, name, func(s *config.Service, name string) int {
		return strings.Compare(s.Name, name)
	})
}

// forget makes the next compilation start from nothing, when what is kept from one to the next may be half done.
func (m *Manager) forget() {
	m.made = made{}
	m.tables, m.streams = newTables(forRequests, new(seating), m.opts.Directory), newStreams(m.opts.Directory)
	m.tables.breath = m.breath
	m.streams.breathe(m.breath)
}

// services compiles all services, in order of names.
func (m *Manager) services(next []*config.Service, w world) []plan.Service {
	all := make([]plan.Service, len(next))
	resolved := maps.EqualFunc(w.names, m.made.world.names, slices.Equal)
	spoken := w.speaks(m.made.world.secured)
	last := 0
	for i, c := range next {
		for last < len(m.made.services) && m.made.services[last].Name < c.Name {
			last++
		}
		same := last < len(m.made.services) && m.made.services[last] == c
		if same && (resolved || !byName(c)) && (spoken || !byTLS(c)) {
			all[i] = m.made.snapshot.Services[last]
		} else {
			all[i] = m.service(c, w)
		}
	}
	return all
}

// byName reports whether c has an endpoint whose address depends on a name.
func byName(c *config.Service) bool {
	return slices.ContainsFunc(c.Endpoints, func(e config.Endpoint) bool {
		_, err := netip.ParseAddr(e.Host)
		return e.Unix == "" && err != nil
	})
}

// byTLS reports whether c has an endpoint that is spoken to over TLS.
func byTLS(c *config.Service) bool {
	return slices.ContainsFunc(c.Endpoints, func(e config.Endpoint) bool { return e.TLS })
}

// listeners compiles the listeners, each in the place of its ID; the others that there have been are vacant.
func (m *Manager) listeners(cfg *config.Config, sec *secured) ([]plan.Listener, error) {
	ids := make([]uint32, len(cfg.Listeners))
	for i, l := range cfg.Listeners {
		var err error
		if ids[i], err = m.ids.seat(l); err != nil {
			return nil, err
		}
	}
	built, err := m.tables.build(cfg.Listeners)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(m.ids.vacant)
	for i, l := range cfg.Listeners {
		at := &all[ids[i]]
		at.Table, at.Trusted, at.HSTS = built[i], l.Trusted, l.HSTS
		at.Protocol, at.Proxied = l.Protocol, l.Proxied
		if !l.Requests() {
			at.Table = nothing
		}
		if t := sec.listeners[l.Name]; t != nil {
			at.TLS = t.tls
		}
		if l.Redirect != nil {
			at.Redirect = &plan.Redirect{Port: l.Redirect.Port, Code: l.Redirect.Code}
		}
		at.Series = m.opts.Directory.Assign(metrics.ListenerSeries, l.Name)
	}
	return all, m.streams.lead(cfg.Listeners, ids, all)
}

// service compiles a service: every address of an endpoint's name becomes an endpoint of its own with the full weight,
// and an address that comes up twice becomes one endpoint with the sum.
func (m *Manager) service(c *config.Service, w world) plan.Service {
	s := plan.Service{
		Name: c.Name, ID: m.ids.services.identify(c.Name),
		Series: m.opts.Directory.Assign(metrics.ServiceSeries, c.Name),
		Stream: c.Stream, Datagrams: c.Datagrams, ByClient: c.ByClient, Proxy: c.Proxy,
	}
	var weights []int
	at := map[address]int{}
	for _, e := range c.Endpoints {
		client := w.client(c, &e)
		for _, key := range addresses(e, w.names) {
			key.tls, key.datagrams = client, c.Datagrams
			if i, ok := at[key]; ok {
				weights[i] += e.Weight
				continue
			}
			at[key] = len(weights)
			weights = append(weights, e.Weight)
			s.Endpoints = append(s.Endpoints, plan.Endpoint{
				ID: m.ids.endpoints.identify(key), Name: e.URL, Addr: key.addr, Unix: key.unix, TLS: key.tls,
			})
		}
	}
	for i, weight := range weights {
		s.Endpoints[i].Weight = weight
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
