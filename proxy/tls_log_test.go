package proxy

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// A line says what was agreed on with the client, and who it was verified to be; one of a plain connection says nothing
// of that.
func TestTLSLogged(t *testing.T) {
	id := newIdentity(t)
	own, believed := clientCertificate(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })
		for _, secure := range []bool{true, false} {
			rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { rings.Close() })
			edit := func(*rig) {}
			if secure {
				edit = guarded(id, false, believed)
			}
			r := start(t, open(), []string{up}, edits(edit, func(r *rig) { r.log = rings.Ring(0) }))
			url, client := "http://"+r.addr, http.DefaultClient
			if secure {
				url = "https://" + r.addr
				client = secureClient(t, id, func(cfg *tls.Config) {
					cfg.ServerName, cfg.InsecureSkipVerify = "SECRET.test", true
					cfg.Certificates = []tls.Certificate{own}
				})
			}
			request, err := http.NewRequest("GET", url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host, request.Close = "secret.test", true
			res, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			line := ""
			r.waitFor("the line", func() bool { line += logged(rings.Ring(0)); return line != "" })
			for _, want := range []string{
				`,"tls_version":"1.3","tls_suite":"TLS_`, `,"sni":"secret.test","client_cert":"CN=Zo%C3%AB,O=Example"`,
			} {
				if strings.Contains(line, want) != secure {
					t.Errorf("TLS %v: %s", secure, line)
				}
			}
		}
	})
}

// A line says why there is no TLS with the upstream, and what alert the upstream has ended a connection with. An
// endpoint that has failed so is not asked again.
func TestTLSFailuresLogged(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	demand := func(version uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, version }
	}
	shaking := `"error":"TLS failed","while":"shaking hands with upstream","detail":`
	for _, tc := range []struct {
		name    string
		id      identity
		server  func(*tls.Config)
		options handshake.ClientOptions
		want    string
	}{
		{"stranger", other, nil, handshake.ClientOptions{}, shaking + `"certificate signed by unknown authority`},
		{"other name", id, nil, handshake.ClientOptions{ServerName: "b.test"},
			shaking + `"certificate is valid for example.com, localhost, not b.test"`},
		{"too old", id, demand(tls.VersionTLS12), handshake.ClientOptions{MinVersion: tls.VersionTLS13},
			shaking + `"alert: protocol_version"`},
		{"no certificate of ours, 1.2", id, demand(tls.VersionTLS12), handshake.ClientOptions{},
			shaking + `"alert: handshake_failure"`},
		{"no certificate of ours, 1.3", id, demand(0), handshake.ClientOptions{},
			`"while":"reading response head","detail":"alert: certificate_required"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			both(t, func(t *testing.T, relay bool) {
				rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { rings.Close() })
				up := secureUpstream(t, tc.id, func(http.ResponseWriter, *http.Request) {}, tc.server)
				r := start(t, backends["epoll"](), []string{up}, edits(toSecure(id, relay, tc.options),
					func(r *rig) { r.log = rings.Ring(0) }))
				res, err := client(t).Get("http://" + r.addr)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				line := ""
				r.waitFor("the line", func() bool { line += logged(rings.Ring(0)); return line != "" })
				if !strings.Contains(line, tc.want) || res.StatusCode != 502 || strings.Contains(line, "retries") {
					t.Errorf("status %d, want %s in %s", res.StatusCode, tc.want, line)
				}
				if n := r.metrics.Snapshot().Counter(metrics.UpstreamConnects); n != 1 {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

// Where one endpoint cannot prove who it is, the next is asked, and the log does not speak of the first.
func TestTLSFailurePassedOver(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	both(t, func(t *testing.T, relay bool) {
		rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rings.Close() })
		answer := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") }
		ups := []string{secureUpstream(t, other, answer, nil), secureUpstream(t, id, answer, nil)}
		r := start(t, backends["epoll"](), ups, edits(toSecure(id, relay, handshake.ClientOptions{}),
			func(r *rig) { r.log, r.snap.Services[0].Cycle = rings.Ring(0), []uint16{0} }))
		ask := func() string {
			res, err := client(t).Get("http://" + r.addr)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			line := ""
			r.waitFor("the line", func() bool { line += logged(rings.Ring(0)); return line != "" })
			return line
		}
		if line := ask(); !strings.Contains(line, `"status":200`) || !strings.Contains(line, `"retries":1`) ||
			strings.Contains(line, "detail") {
			t.Error(line)
		}
		r.publish(func(s *plan.Snapshot) {
			gone := s.Services[0]
			gone.Endpoints = append([]plan.Endpoint{}, gone.Endpoints...)
			gone.Endpoints[1].ID, gone.Endpoints[1].Addr = 2, netip.MustParseAddrPort("127.0.0.1:1")
			s.Services = []plan.Service{gone}
		})
		if line := ask(); !strings.Contains(line, `"detail":"ECONNREFUSED"`) {
			t.Error(line)
		}
	})
}
