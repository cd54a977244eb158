package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Own time has the parts between readings of the clock, and neither the calls of the backend nor any waiting.
func TestSimOwnTime(t *testing.T) {
	const step = 1000 // each reading comes so long after the one before
	const request, response = 3 * step, step
	for name, tc := range map[string]struct {
		ask, answer, heard string
		count              uint64
		own                int64
	}{
		"proxied":    {simGet, okResponse, "\r\n\r\nok", 1, request + response},
		"head later": {simGet, "HTTP/1.1 200 OK\r\nContent-\x00Length: 2\r\n\r\nok", "ok", 1, request + 2*response},
		"body later": {simGet, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\x00o\x00k", "ok", 1, request + response},
		"no route":   {"GET / HTTP/1.1\r\nHost: b\r\n\r\n", "", " 404 ", 1, request},
		"no request": {"GET\r\n\r\n", "", " 400 ", 0, 0},
		"not routed": {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "", " 400 ", 1, step},
		"bad answer": {simGet, "nonsense\r\n\r\n", " 502 ", 1, request + response},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTimeoutRig(t, func(s *plan.Snapshot) { s.Listeners[0].Table = hostTable(t, "a") })
			r.cost.reading, r.cost.call = step, 1e6
			r.slowly(tc.answer)
			r.talk(tc.ask).heard(tc.heard)
			r.stop()
			s := r.metrics.Snapshot()
			if own := s.Timing(metrics.OwnTime); own.Count != tc.count || int64(own.Sum) != tc.own {
				t.Errorf("%d own times, %d ns in all; want %d, %d", own.Count, own.Sum, tc.count, tc.own)
			}
		})
	}
}

// hostTable has one route, for requests to that host.
func hostTable(t *testing.T, host string) *routing.Table {
	expr, err := rule.Parse("Host(`" + host + "`)")
	if err != nil {
		t.Fatal(err)
	}
	table, err := routing.Compile([]routing.Route{{Name: "all", Rule: expr}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// slowly has the endpoint answer each head with the pieces between zero bytes of a text, one a second.
func (r *simRig) slowly(text string) {
	pieces := strings.Split(text, "\x00")
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) {
		got, asked := "", 0
		r.actors = append(r.actors, func() {
			got += string(p.Arrived())
			for ; asked < strings.Count(got, "\r\n\r\n"); asked++ {
				for i, piece := range pieces {
					r.world.After(int64(i+1)*int64(time.Second), func() { _, _ = p.Write([]byte(piece)) })
				}
			}
		})
	})
}

// One request in so many is in the sample, the first that was understood included; its route is timed too.
func TestSimRequestsAreSampled(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.server(func(int) string { return okResponse })
	r.talk("nonsense\r\n\r\n").heard(" 400 ")
	k := r.talk("")
	for n := range 2*metrics.RequestSample + 1 {
		if n%2 == 0 {
			k.say(simGet + simGet) // the second waits for the response to the first
		}
		r.until("an answer", func() bool { return strings.Count(k.got, "HTTP/1.1 200") == n+1 })
		s, least, most := r.metrics.Snapshot(), uint64(n/metrics.RequestSample+1), uint64(n|1)/metrics.RequestSample+1
		own, routing := s.Timing(metrics.OwnTime).Count, s.Timing(metrics.RoutingTime).Count
		if routing < least || routing > most || own < least-1 || own > routing { // own: once the response has been sent
			t.Fatalf("%d own times, %d routings after %d requests", own, routing, n+1)
		}
	}
	r.stop()
	if n := r.metrics.Snapshot().Timing(metrics.OwnTime).Count; n != 3 {
		t.Errorf("%d own times", n)
	}
}

// What comes before the first turn is not timed as one.
func TestSimTurnsAreSampled(t *testing.T) {
	r := newTimeoutRig(t, nil)
	for n := range 2*metrics.TurnSample + 1 {
		s, want := r.metrics.Snapshot(), uint64(n+metrics.TurnSample-1)/metrics.TurnSample
		timed, counted := s.Timing(metrics.TurnTime).Count, s.Timing(metrics.TurnEvents).Count
		if timed != want || counted != want {
			t.Fatalf("of %d turns %d are timed and the events of %d counted, want %d", n, timed, counted, want)
		}
		r.sh.Backend.Wake()
		r.turn()
	}
	r.stop()
}

// A client for which there is no exchange is refused: there was no request that could have failed.
func TestSimNoExchangeLeft(t *testing.T) {
	r := newTimeoutRig(t, nil)
	var all []uint32
	for i := r.w.exs.Take(); i != 0; i = r.w.exs.Take() {
		all = append(all, i)
	}
	k := r.talk(simGet)
	r.until("the end of the connection", func() bool { return k.err != nil })
	for _, i := range all {
		r.w.exs.Put(i)
	}
	s := r.metrics.Snapshot()
	if s.Refused(metrics.LimitBuffers) != 1 || s.TotalErrors() != 0 || s.Counter(metrics.ConnsClosedError) != 1 {
		t.Errorf("%v", s)
	}
	r.stop()
}
