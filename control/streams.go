package control

import (
	"slices"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/internal/breath"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// streams compiles the routes of streams, those for connections and those for datagrams. Both are in one list of a
// snapshot.
type streams struct {
	list        *seating
	connections streamTables
	datagrams   streamTables
}

// streamTables compiles those of one kind: by the same tables as the routes of requests, which are asked something
// else, and in which each route names its listeners. Which ones these are where it is not written depends on what the
// listeners speak.
type streamTables struct {
	*tables
	listeners []*config.Listener
	before    []*config.StreamRoute
	made      map[*config.StreamRoute]*config.Route // what before is to the tables
}

func newStreams(d *metrics.Directory) *streams {
	list := new(seating)
	return &streams{
		list:        list,
		connections: streamTables{tables: newTables(forConnections, list, d)},
		datagrams:   streamTables{tables: newTables(forDatagrams, list, d)},
	}
}

func (s *streams) breathe(b *breath.Breath) { s.connections.breath, s.datagrams.breath = b, b }

// update takes the routes of cfg in the place of what it held.
func (s *streams) update(cfg *config.Config) error {
	if err := s.connections.update(cfg.Streams, cfg.Listeners); err != nil {
		return err
	}
	return s.datagrams.update(cfg.Datagrams, cfg.Listeners)
}

// update takes next in the place of what it held. A route that has not changed, and is for the same listeners, stays
// the same value to the tables. One that is for none is left out.
func (s *streamTables) update(next []*config.StreamRoute, listeners []*config.Listener) error {
	if slices.Equal(next, s.before) && slices.Equal(listeners, s.listeners) {
		return nil
	}
	made := make(map[*config.StreamRoute]*config.Route, len(next))
	routes := make([]*config.Route, 0, len(next))
	for i, r := range next {
		s.breath.Every(i)
		on := listenersOf(r, listeners)
		if len(on) == 0 {
			continue
		}
		one := s.made[r]
		if one == nil || !slices.Equal(one.Listeners, on) {
			one = &config.Route{Name: r.Name, Listeners: on, Rule: r.Rule, Priority: r.Priority, Service: r.Service}
		}
		made[r] = one
		routes = append(routes, one)
	}
	s.before, s.listeners, s.made = slices.Clone(next), slices.Clone(listeners), made
	_, err := s.tables.update(routes)
	return err
}

// listenersOf are the names of the listeners that r is for.
func listenersOf(r *config.StreamRoute, listeners []*config.Listener) []string {
	var names []string
	for _, l := range listeners {
		if r.For(l) {
			names = append(names, l.Name)
		}
	}
	return names
}

// lead gives listeners their tables, and none to those that no stream is for. All is by ID.
func (s *streams) lead(listeners []*config.Listener, ids []uint32, all []plan.Listener) error {
	for i, l := range listeners {
		of := &s.connections
		if l.Protocol == plan.UDP {
			of = &s.datagrams
		}
		if !of.leads(l.Name) {
			continue
		}
		built, err := of.build([]*config.Listener{l})
		if err != nil {
			return err
		}
		all[ids[i]].Streams = built[0]
	}
	return nil
}

// compile makes the list that the tables' targets stand for.
func (s *streams) compile(services []*config.Service, ids *identities) []plan.Stream {
	all := make([]plan.Stream, s.list.all)
	for _, of := range []*streamTables{&s.connections, &s.datagrams} {
		for _, r := range of.before {
			if of.made[r] == nil {
				continue
			}
			seat := of.seats[r.Name]
			service, _ := find(services, r.Service)
			all[seat] = plan.Stream{
				Name: r.Name, ID: ids.streams.identify(streamName{r.Name, r.Datagrams}), Service: int32(service),
				Series: of.series[seat], Terminate: r.Terminate,
				Connections: r.Connections, Rate: r.Rate, Burst: r.Burst,
			}
		}
	}
	return all
}

// nothing is the table of a listener on which there are no requests.
var nothing = func() *routing.Table {
	t, err := routing.NewBuilder().Build()
	if err != nil {
		panic(err) // a table without routes can always be made
	}
	return t
}()
