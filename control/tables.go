package control

import (
	"errors"
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/internal/breath"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// tables compiles routes of one kind, and keeps what it made from one configuration to the next: the work of a change
// is that of the routes that differ. A listener that some route names has a table of its own; all others share one.
type tables struct {
	last     []*config.Route // what the builders hold, in order of names
	seats    map[string]int  // by a route's name: its index in a snapshot's list
	list     *seating        // of that list
	series   []plan.Series   // by index
	named    map[string]int  // by a listener's name: how many routes name it
	builders map[string]*routing.Builder
	common   int // how many routes name no listener
	breath   *breath.Breath
	metrics  *metrics.Directory
	kind     kindOfRoutes
}

// seating are the indexes of a list in a snapshot. Routes of two kinds may be in one list.
type seating struct {
	all  int
	free []int // indexes that routes have left
}

func (s *seating) take() int {
	if n := len(s.free); n > 0 {
		seat := s.free[n-1]
		s.free = s.free[:n-1]
		return seat
	}
	s.all++
	return s.all - 1
}

func (s *seating) leave(seat int) { s.free = append(s.free, seat) }

// kindOfRoutes is what differs between routes for requests, for connections and for datagrams.
type kindOfRoutes struct {
	key     string // of their table in the configuration
	series  metrics.SeriesKind
	builder func() *routing.Builder
}

var (
	forRequests    = kindOfRoutes{"routes", metrics.RouteSeries, routing.NewBuilder}
	forConnections = kindOfRoutes{"tcp_routes", metrics.StreamSeries, routing.NewStreamBuilder}
	forDatagrams   = kindOfRoutes{"udp_routes", metrics.DatagramSeries, routing.NewStreamBuilder}
)

// shared is the key of the builder for listeners that no route names; no listener has this name.
const shared = ""

func newTables(kind kindOfRoutes, list *seating, d *metrics.Directory) *tables {
	return &tables{
		kind: kind, metrics: d, list: list, seats: map[string]int{}, named: map[string]int{},
		builders: map[string]*routing.Builder{shared: kind.builder()},
	}
}

// update takes next, in order of names, in the place of what it held, and returns what was not there before. After an
// error the tables are worth nothing.
func (t *tables) update(next []*config.Route) (fresh []*config.Route, err error) {
	was, is := difference(t.last, next, t.breath)
	for _, r := range is {
		if err := t.name(r); err != nil {
			return nil, err
		}
	}
	for _, r := range was {
		t.leave(r)
	}
	for _, r := range is {
		if err := t.enter(r); err != nil {
			return nil, err
		}
	}
	t.last = next
	return is, nil
}

// difference walks two lists in order of names and returns what is only in the one, and only in the other.
func difference(last, next []*config.Route, rhythm *breath.Breath) (was, is []*config.Route) {
	if len(last) > 0 && len(last) == len(next) && &last[0] == &next[0] {
		return nil, nil
	}
	for i := 0; len(last) > 0 && len(next) > 0; i++ {
		rhythm.Every(i)
		if last[0] == next[0] {
			last, next = last[1:], next[1:]
			continue
		}
		order := strings.Compare(last[0].Name, next[0].Name)
		if order <= 0 {
			was, last = append(was, last[0]), last[1:]
		}
		if order >= 0 {
			is, next = append(is, next[0]), next[1:]
		}
	}
	return append(was, last...), append(is, next...)
}

// name makes builders for the listeners that r is the first route to name: with the routes that are there for all
// listeners, before this update.
func (t *tables) name(r *config.Route) error {
	for _, l := range r.Listeners {
		if t.named[l]++; t.named[l] > 1 {
			continue
		}
		b := t.kind.builder()
		for _, common := range t.last {
			if len(common.Listeners) > 0 {
				continue
			}
			if err := t.set(b, common); err != nil {
				return err
			}
		}
		t.builders[l] = b
	}
	return nil
}

// leave takes r out of the builders, and drops those of listeners that no route names any more.
func (t *tables) leave(r *config.Route) {
	for _, l := range r.Listeners {
		t.builders[l].Delete(r.Name)
		if t.named[l]--; t.named[l] == 0 {
			delete(t.builders, l)
			delete(t.named, l)
		}
	}
	if len(r.Listeners) == 0 {
		t.common--
		for _, b := range t.builders {
			b.Delete(r.Name)
		}
	}
	t.list.leave(t.seats[r.Name])
	delete(t.seats, r.Name)
}

func (t *tables) enter(r *config.Route) error {
	seat := t.list.take()
	t.seats[r.Name] = seat
	for seat >= len(t.series) {
		t.series = append(t.series, 0)
	}
	t.series[seat] = t.metrics.Assign(t.kind.series, r.Name)
	if len(r.Listeners) > 0 {
		for _, l := range r.Listeners {
			if err := t.set(t.builders[l], r); err != nil {
				return err
			}
		}
		return nil
	}
	t.common++
	for _, b := range t.builders {
		if err := t.set(b, r); err != nil {
			return err
		}
	}
	return nil
}

func (t *tables) set(b *routing.Builder, r *config.Route) error {
	err := b.Set(routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule, Target: t.seats[r.Name]})
	if err != nil {
		return &badRoute{t.kind.key, r.Name, err}
	}
	return nil
}

// badRoute is a route that cannot be compiled, although there is nothing wrong with its text: its rule is too large.
type badRoute struct {
	kind, name string
	err        error
}

func (b *badRoute) Error() string { return b.err.Error() }
func (b *badRoute) Unwrap() error { return b.err }

// in says where the route is in cfg.
func (b *badRoute) in(cfg *config.Config) config.Faults {
	hint := b.err.Error()
	if cause := errors.Unwrap(b.err); cause != nil {
		hint = cause.Error()
	}
	key := config.Path(b.kind, b.name, "rule")
	return config.Faults{cfg.Fault(key, "a rule that cannot be compiled", "a smaller one", hint)}
}

// leads reports whether a route is there for a listener.
func (t *tables) leads(listener string) bool { return t.common > 0 || t.named[listener] > 0 }

// build returns the tables of listeners, in their order.
func (t *tables) build(listeners []*config.Listener) ([]*routing.Table, error) {
	built := map[string]*routing.Table{}
	all := make([]*routing.Table, len(listeners))
	for i, l := range listeners {
		key := l.Name
		if t.named[key] == 0 {
			key = shared
		}
		if built[key] == nil {
			var err error
			if built[key], err = t.builders[key].Build(); err != nil {
				return nil, fmt.Errorf("compile routes of listener %q: %w", l.Name, err)
			}
		}
		all[i] = built[key]
	}
	return all, nil
}

// routes are what the tables' targets stand for; a free one is empty.
func (t *tables) routes(services []*config.Service) []plan.Route {
	index := make(map[string]int, len(services))
	for i, s := range services {
		index[s.Name] = i
	}
	all := make([]plan.Route, t.list.all)
	for i, r := range t.last {
		t.breath.Every(i)
		all[t.seats[r.Name]] = t.route(r, index[r.Service])
	}
	return all
}

// patched is routes, made from what it was for the same services: only the routes of fresh have come since.
func (t *tables) patched(before []plan.Route, services []*config.Service, fresh []*config.Route) []plan.Route {
	all := make([]plan.Route, t.list.all)
	copy(all, before)
	for _, seat := range t.list.free {
		all[seat] = plan.Route{}
	}
	for _, r := range fresh {
		at, _ := find(services, r.Service)
		all[t.seats[r.Name]] = t.route(r, at)
	}
	return all
}

func (t *tables) route(r *config.Route, service int) plan.Route {
	return plan.Route{
		Name: r.Name, Service: int32(service), Series: t.series[t.seats[r.Name]],
		Upgrades: r.Upgrades, Connect: r.Connect,
	}
}
