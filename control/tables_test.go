package control

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

var tableListeners = []*config.Listener{{Name: "a"}, {Name: "b"}, {Name: "c"}}

// randomRoute has one of few rules, is for some of the listeners, or for all, and leads to one of few services.
func randomRoute(t testing.TB, rnd *rand.Rand, name string, services int) *config.Route {
	r := &config.Route{Name: name, Priority: rnd.IntN(3), Service: fmt.Sprint("s", rnd.IntN(services))}
	for _, l := range tableListeners {
		if rnd.IntN(3) == 0 {
			r.Listeners = append(r.Listeners, l.Name)
		}
	}
	if rnd.IntN(2) == 0 {
		r.Listeners = nil
	}
	if rnd.IntN(8) > 0 {
		e, _, err := rule.Match(rule.Host, "", fmt.Sprintf("h%d.test", rnd.IntN(5)))
		if err != nil {
			t.Fatal(err)
		}
		r.Rule = e
	}
	return r
}

func serviceList(n int) (all []*config.Service) {
	for i := range n {
		all = append(all, &config.Service{Name: fmt.Sprint("s", i)})
	}
	return all
}

// TestTablesFollowTheConfiguration: after any series of changes, every listener leads every request to where tables
// made for the last configuration alone would, whether or not the services are the same as before.
func TestTablesFollowTheConfiguration(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	now := map[string]*config.Route{}
	kept, services := newTables(forRequests, new(seating), metrics.NewDirectory()), serviceList(4)
	var routes []plan.Route
	for step := range 300 {
		for range rnd.IntN(6) {
			name := fmt.Sprintf("r%02d", rnd.IntN(25))
			if now[name] != nil && rnd.IntN(2) == 0 {
				delete(now, name)
			} else {
				now[name] = randomRoute(t, rnd, name, 4)
			}
		}
		var next []*config.Route
		for _, name := range slices.Sorted(maps.Keys(now)) {
			next = append(next, now[name])
		}
		fresh, err := kept.update(next)
		if err != nil {
			t.Fatal(err)
		}
		if step%3 == 0 {
			routes = kept.routes(services)
		} else {
			routes = kept.patched(routes, services, fresh)
		}
		single := newTables(forRequests, new(seating), kept.metrics)
		if _, err := single.update(next); err != nil {
			t.Fatal(err)
		}
		sameAnswers(t, step, kept, routes, single, single.routes(services))
	}
	_, err := kept.update(nil)
	if err != nil || len(kept.builders) != 1 || len(kept.named) != 0 || len(kept.seats) != 0 {
		t.Errorf("%d builders, %d named listeners and %d seats are left", len(kept.builders), len(kept.named),
			len(kept.seats))
	}
}

func sameAnswers(t *testing.T, step int, a *tables, routesA []plan.Route, b *tables, routesB []plan.Route) {
	t.Helper()
	tablesA, err := a.build(tableListeners)
	if err != nil {
		t.Fatal(err)
	}
	tablesB, err := b.build(tableListeners)
	if err != nil {
		t.Fatal(err)
	}
	for l := range tableListeners {
		for host := range 6 {
			r := &routing.Request{Host: fmt.Appendf(nil, "h%d.test", host), Path: []byte("/")}
			got, want := target(routesA, tablesA[l].Match(r)), target(routesB, tablesB[l].Match(r))
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("step %d, listener %s, host %d: %v, want %v", step, tableListeners[l].Name, host, got, want)
			}
		}
	}
}

func target(routes []plan.Route, i int) plan.Route {
	if i < 0 {
		return plan.Route{}
	}
	return routes[i]
}

// TestListenersShareATable: only a listener that some route names costs a table of its own.
func TestListenersShareATable(t *testing.T) {
	k := newTables(forRequests, new(seating), metrics.NewDirectory())
	common, own := &config.Route{Name: "common"}, &config.Route{Name: "own", Listeners: []string{"b"}}
	for _, c := range []struct {
		routes []*config.Route
		tables int
	}{{[]*config.Route{common}, 1}, {[]*config.Route{common, own}, 2}, {[]*config.Route{common}, 1}} {
		if _, err := k.update(c.routes); err != nil {
			t.Fatal(err)
		}
		built, err := k.build(tableListeners)
		if err != nil {
			t.Fatal(err)
		}
		different := map[*routing.Table]bool{}
		for _, b := range built {
			different[b] = true
		}
		if len(different) != c.tables || built[0] != built[2] {
			t.Errorf("%d routes: %d tables, want %d", len(c.routes), len(different), c.tables)
		}
	}
}

// BenchmarkChangedRoute measures what control does for one changed route among 100,000, from the decoded
// configuration to the snapshot.
func BenchmarkChangedRoute(b *testing.B) {
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	services := serviceList(100)
	var routes []*config.Route
	for i := range n {
		r := randomRoute(b, rnd, fmt.Sprintf("r%06d", i), len(services))
		r.Listeners = nil
		if r.Rule, _, _ = rule.Match(rule.Host, "", fmt.Sprintf("h%d.test", i)); r.Rule == nil {
			b.Fatal("no rule")
		}
		routes = append(routes, r)
	}
	k := newTables(forRequests, new(seating), metrics.NewDirectory())
	if _, err := k.update(routes); err != nil {
		b.Fatal(err)
	}
	compiled := k.routes(services)
	i := 0
	for b.Loop() {
		i = (i + 7919) % n
		changed := *routes[i]
		changed.Service = fmt.Sprint("s", rnd.IntN(len(services)))
		routes = slices.Clone(routes)
		routes[i] = &changed
		fresh, err := k.update(routes)
		if err != nil {
			b.Fatal(err)
		}
		compiled = k.patched(compiled, services, fresh)
		if _, err := k.build(tableListeners); err != nil {
			b.Fatal(err)
		}
	}
}
