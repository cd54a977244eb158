package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// seriesOf are the series of a snapshot, by kind and name.
func seriesOf(s *plan.Snapshot) map[string]plan.Series {
	all := map[string]plan.Series{}
	for _, l := range s.Listeners {
		if !l.Vacant() {
			all["listener "+l.Name] = l.Series
		}
	}
	for _, svc := range s.Services {
		all["service "+svc.Name] = svc.Series
	}
	for _, r := range s.Routes {
		if r.Name != "" {
			all["route "+r.Name] = r.Series
		}
	}
	return all
}

// What has the same name has the same series in every snapshot, whatever changes about it or fails in between.
func TestSeriesStay(t *testing.T) {
	r := newRig(t)
	first := seriesOf(r.start(base))
	if len(first) != 6 {
		t.Fatalf("series %v", first)
	}
	for what, id := range first {
		if id == metrics.Other {
			t.Errorf("%s has no series of its own", what)
		}
	}
	check := func(what string, s *plan.Snapshot, want int) {
		t.Helper()
		all := seriesOf(s)
		if len(all) != want {
			t.Errorf("%s: series %v", what, all)
		}
		seen := map[string]string{}
		for name, id := range all {
			if was, ok := first[name]; ok && was != id {
				t.Errorf("%s: %s had series %d and has %d", what, name, was, id)
			}
			kind, _, _ := strings.Cut(name, " ")
			key := fmt.Sprint(kind, id)
			if other, ok := seen[key]; ok {
				t.Errorf("%s: %s and %s have the same series", what, name, other)
			}
			seen[key] = name
		}
	}
	check("another address", r.reload(strings.Replace(base, "127.0.0.1:8080", "127.0.0.1:8081", 1)), 6)
	check("another rule", r.reload(strings.Replace(base, "api.test", "api2.test", 1)), 6)
	more := base + "[routes.a]\npath = \"/a\"\nservice = \"b\"\n[services.b]\nendpoints = [\"http://10.0.0.9\"]\n"
	check("more", r.reload(more), 8)
	r.prepare = func() error { return errors.New("no socket") }
	r.refused(base)
	r.prepare = nil
	check("more again", r.reload(strings.Replace(more, "10.0.0.9", "10.0.0.8", 1)), 8)
	r.m.forget()
	check("from nothing", r.reload(base), 6)
	check("as it was", r.reload(more), 8)
}
