package control

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

func TestStartCompiles(t *testing.T) {
	r := newRig(t)
	s := r.start(base)
	if s.Generation != 1 || s.Source != r.path || s.Created.IsZero() || len(r.published) != 0 {
		t.Errorf("generation %d of %q, %d published", s.Generation, s.Source, len(r.published))
	}
	api, app := s.Services[0], s.Services[1]
	if api.Name != "api" || app.Name != "app" || api.ID == app.ID {
		t.Errorf("services: %+v", s.Services)
	}
	if app.Endpoints[1].ID != api.Endpoints[0].ID || app.Endpoints[0].ID == app.Endpoints[1].ID {
		t.Error("an endpoint's ID follows its address")
	}
	if e := api.Endpoints[1]; e.Unix != "/run/api.sock" || e.Name != "unix:/run/api.sock" || e.Addr.IsValid() {
		t.Errorf("endpoint: %+v", e)
	}
	internal, web := s.Listeners[0], s.Listeners[1]
	for _, c := range []struct {
		l       plan.Listener
		host    string
		service string
	}{{web, "api.test", "api"}, {web, "x.test", "app"}, {internal, "api.test", "app"}} {
		route := c.l.Table.Match(&routing.Request{Host: []byte(c.host), Path: []byte("/")})
		if got := s.Services[s.Routes[route].Service].Name; got != c.service {
			t.Errorf("%s on %s leads to %s", c.host, c.l.Name, got)
		}
	}
}

func TestEmbeddedDefault(t *testing.T) {
	m := New(Options{Log: slog.New(slog.DiscardHandler)})
	cfg, s, err := m.Start(t.Context())
	if err != nil || s.Source != config.DefaultSource || cfg.Source != s.Source || len(s.Services[0].Endpoints) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStartReportsAllFaults(t *testing.T) {
	r := newRig(t)
	r.write(strings.Replace(base, "http://10.0.0.1:80", "http://gone.test", 1))
	_, _, err := r.m.Start(t.Context())
	want := r.path + `:13:14: services.app.endpoints[0]: found the host name "gone.test", which does not resolve, ` +
		`expected a name with an address; server failure`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestReloadKeepsIDs(t *testing.T) {
	r := newRig(t)
	before := r.start(base)
	r.reload(strings.NewReplacer("services.api", "services.aaa", `"api"`, `"aaa"`).Replace(base))
	after := r.reload(base + "[services.new]\nendpoints = [\"http://10.0.0.9\", \"http://10.0.0.1:80\"]\n")
	if after.Generation != 3 {
		t.Errorf("generation %d", after.Generation)
	}
	for i, s := range before.Services {
		if after.Services[i].ID != s.ID {
			t.Errorf("service %s had ID %d, now %d", s.Name, s.ID, after.Services[i].ID)
		}
		for j, e := range s.Endpoints {
			if after.Services[i].Endpoints[j] != e {
				t.Errorf("endpoint %+v is now %+v", e, after.Services[i].Endpoints[j])
			}
		}
	}
	if added := after.Services[2]; added.ID != 3 || added.Endpoints[1].ID != before.Services[1].Endpoints[0].ID {
		t.Errorf("the new service: %+v", added)
	}
	r.logged("configuration reloaded")
}

// Each address has its place in the list for good; who is gone leaves it vacant.
func TestListenersHavePlaces(t *testing.T) {
	r := newRig(t)
	places := func(s *plan.Snapshot) string {
		var all []string
		for i := range s.Listeners {
			l, state := &s.Listeners[i], "open"
			if l.Vacant() {
				state = "vacant"
			}
			all = append(all, fmt.Sprint(l.Name, "=", l.Unix, l.Addr.Port(), ":", state))
		}
		return strings.Join(all, " ")
	}
	const rest = "[routes.main]\nservice = \"app\"\n[services.app]\nendpoints = [\"http://10.0.0.1\"]\n"
	text := func(listeners ...string) string {
		var b strings.Builder
		for _, l := range listeners {
			name, address, _ := strings.Cut(l, "=")
			fmt.Fprintf(&b, "[listeners.%s]\naddress = %q\n", name, address)
		}
		return b.String() + rest
	}
	if got := places(r.start(text("a=:1", "b=unix:/b"))); got != "a=1:open b=/b0:open" {
		t.Errorf("at the start: %s", got)
	}
	for _, step := range []struct {
		listeners []string
		want      string
	}{
		{[]string{"b=unix:/b"}, "a=1:vacant b=/b0:open"},
		{[]string{"aa=:3", "b=:2"}, "a=1:vacant b=/b0:vacant aa=3:open b=2:open"},
		{[]string{"c=unix:/b", "b=:1"}, "b=1:open c=/b0:open aa=3:vacant b=2:vacant"},
	} {
		s := r.reload(text(step.listeners...))
		if got := places(s); got != step.want {
			t.Errorf("%v: %s, want %s", step.listeners, got, step.want)
		}
		for i := range s.Listeners {
			if l := &s.Listeners[i]; !l.Vacant() && l.Table.Match(&routing.Request{Path: []byte("/")}) != 0 {
				t.Errorf("%s has no route", l.Name)
			}
		}
	}
	if before := r.published[0]; places(before) != "a=1:vacant b=/b0:open" {
		t.Errorf("a published snapshot was changed: %s", places(before))
	}
}

func TestTooManyListeners(t *testing.T) {
	r := newRig(t)
	r.start(base)
	for i := len(r.m.ids.listeners); i < maxListeners; i++ {
		if _, err := r.m.ids.seat(&config.Listener{Unix: fmt.Sprint("@", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.reload(base); len(s.Listeners) != maxListeners {
		t.Errorf("%d listeners", len(s.Listeners))
	}
	a := r.refused(strings.Replace(base, ":8080", ":8081", 1))
	if !strings.Contains(a.Err.Error(), "restart the process") {
		t.Error(a.Err)
	}
	const added = "[routes.added]\nhost = \"added.test\"\nservice = \"api\"\n"
	r.refused(strings.Replace(base, ":8080", ":8081", 1) + added)
	if s := r.reload(base + added); len(s.Routes) != 3 || !slices.ContainsFunc(s.Routes, func(route plan.Route) bool {
		return route.Name == "added"
	}) {
		t.Errorf("after a failure the snapshot has the routes %+v", s.Routes)
	}
}

// A snapshot's routes have gaps, which count for nothing.
func TestRoutesAreCounted(t *testing.T) {
	r := newRig(t)
	r.start(base)
	extra := "[routes.extra]\nservice = \"app\"\nhost = \"extra.test\"\n"
	for i, text := range []string{base + extra, base, base + extra, base} {
		r.reload(text)
		if got, want := len(r.m.Status().Config.Routes), 3-i%2; got != want {
			t.Errorf("reload %d: %d routes, want %d", i, got, want)
		}
	}
	if snap := r.m.Status().Snapshot; len(snap.Routes) != 3 {
		t.Errorf("%d seats", len(snap.Routes))
	}
	r.logged("generation=5 routes=2 tcp_routes=0 udp_routes=0 services=2")
}
