package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// details are what the log says of some cases beyond why.
var details = map[string]string{
	"malformed line": "line with something missing or something more", "too long line": "line of more than 107 bytes",
	"too long block": "binary header of more than 536 bytes", "half a line and the end": "incomplete PROXY header",
	"malformed hello": "empty record", "oversized hello": "ClientHello of more than 16384 bytes",
	"half a hello": "incomplete ClientHello", "a byte of a hello": "incomplete ClientHello",
	"auto: half a hello": "incomplete ClientHello", "auto: half a hello alone": "incomplete ClientHello",
}

// Whoever is refused for what he began with has one line that says why, and the others have none.
func TestFirstBytesLogged(t *testing.T) {
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		cases := firstCases(t)
		told := len(cases)
		for i, c := range append(cases, silences(t)...) {
			why := c.why
			if why == metrics.None && strings.HasPrefix(c.heard, "\x15\x03\x03") {
				why = metrics.BadHello
			}
			if why == metrics.None && c.protocol != plan.TCP {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
				if err != nil {
					t.Fatal(err)
				}
				defer rings.Close()
				r := start(t, open(), []string{up}, func(r *rig) {
					service := snapshotFor(t, r.snap.Listeners[0].Addr, far).Services[0]
					service.Endpoints[0].ID = 100
					c.edit(t, r.snap, service)
					if r.log = rings.Ring(0); i >= told {
						r.snap.Timeouts.Detect = 30 * time.Millisecond
					}
				})
				c.run(r, len(c.said)+1)
				c.over(r, 1)
				if n := r.metrics.Snapshot().Refused(why); why != metrics.None && n != 1 {
					t.Errorf("%d are counted", n)
				}
				lines := logged(rings.Ring(0))
				if why == metrics.None {
					if strings.Contains(lines, `"error"`) {
						t.Error(lines)
					}
					return
				}
				want := fmt.Sprintf(`"error":%q,"while":%q`, why.Text(), why.While())
				if d := details[c.name]; d != "" {
					want += fmt.Sprintf(`,"detail":%q`, d)
				}
				if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, want+"}") {
					t.Errorf("%q, want %s", lines, want)
				}
			})
		}
	})
}

// A line says who it was, by the header if there was one, what he asked for, and for how long he was there.
func TestFirstBytesLoggedWhole(t *testing.T) {
	rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer rings.Close()
	c := firstCase{protocol: plan.TCP, proxied: true, rules: []string{"SNI(`pass.example.com`)"}}
	r := start(t, backends["epoll"](), []string{firstUpstream(t)}, func(r *rig) {
		c.edit(t, r.snap, r.snap.Services[0])
		r.log = rings.Ring(0)
	})
	other := string(clientHello(t, "other.example.com"))
	c.said, c.heard = firstLine+other, "\x15\x03\x03\x00\x02\x02\x70"
	c.run(r, len(c.said))
	c.over(r, 1)
	line := logged(rings.Ring(0))
	for _, want := range []string{
		`"client":"203.0.113.9:40000","method":"","scheme":"tls","host":"other.example.com","path":"","protocol":"tls"`,
		fmt.Sprintf(`"bytes_in":%d,`, len(c.said)), `"error":"no route","while":"choosing a route"`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("%s has no %s", line, want)
		}
	}
}
