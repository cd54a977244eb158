package control

import (
	"slices"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// streams compiles the routes of streams: by the same tables as those of requests, which are asked something else.
type streams struct {
	*tables
	before []*config.StreamRoute
	routes []*config.Route // what before is to the tables
}

func newStreams(d *metrics.Directory) *streams { return &streams{tables: newTables(forStreams, d)} }

// update takes next in the place of what it held. A route that has not changed stays the same value to the tables.
func (s *streams) update(next []*config.StreamRoute) error {
	if len(next) == len(s.before) && (len(next) == 0 || &next[0] == &s.before[0]) {
		return nil
	}
	known := make(map[*config.StreamRoute]*config.Route, len(s.before))
	for i, r := range s.before {
		s.breath.Every(i)
		known[r] = s.routes[i]
	}
	routes := make([]*config.Route, len(next))
	for i, r := range next {
		s.breath.Every(i)
		if routes[i] = known[r]; routes[i] == nil {
			routes[i] = &config.Route{
				Name: r.Name, Listeners: r.Listeners, Rule: r.Rule, Priority: r.Priority, Service: r.Service,
			}
		}
	}
	s.before, s.routes = slices.Clone(next), routes
	_, err := s.tables.update(routes)
	return err
}

// lead gives the listeners that speak TLS their tables, and none to those that no stream is for. All is by ID.
func (s *streams) lead(listeners []*config.Listener, ids []uint32, all []plan.Listener) error {
	var asked []*config.Listener
	var at []uint32
	for i, l := range listeners {
		if l.TLS != nil && s.leads(l.Name) {
			asked, at = append(asked, l), append(at, ids[i])
		}
	}
	built, err := s.build(asked)
	if err != nil {
		return err
	}
	for i, table := range built {
		all[at[i]].Streams = table
	}
	return nil
}

// list is what the tables' targets stand for.
func (s *streams) list(services []*config.Service, ids *identities) []plan.Stream {
	routes := s.tables.routes(services)
	all := make([]plan.Stream, len(routes))
	for i, r := range routes {
		if r.Name != "" {
			id := ids.streams.identify(streamName{name: r.Name})
			all[i] = plan.Stream{Name: r.Name, ID: id, Service: r.Service, Series: r.Series}
		}
	}
	return all
}
