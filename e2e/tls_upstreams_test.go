package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// secureUpstream is a Checking upstream that speaks TLS and counts its connections.
type secureUpstream struct {
	*httptest.Server
	conns atomic.Int64
}

func newSecureUpstream(t *testing.T, config *tls.Config) *secureUpstream {
	s := &secureUpstream{Server: httptest.NewUnstartedServer(http.HandlerFunc(check))}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.Config.ErrorLog = nobodyReads
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *secureUpstream) endpoint() string { return "https://" + s.Listener.Addr().String() }

// toSecure is a configuration for an upstream that speaks TLS, with keys of its table "tls".
func toSecure(endpoint, addr, keys string) string {
	return Config(endpoint, addr) + "[services.all.tls]\n" + keys
}

// Bodies of every size, to a server in Go and to nginx, in both versions, on connections that are kept.
func TestTLSUpstreams(t *testing.T) {
	ca := NewAuthority(t, "ca")
	id := ca.Issue([]string{"127.0.0.1", "up.test"})
	checking := NewChecking(t)
	Modes(t, func(t *testing.T, mode Mode) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, kind := range []string{"Go", "nginx"} {
				t.Run(kind+" "+tls.VersionName(version), func(t *testing.T) {
					addr, secure := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
					var up *secureUpstream
					if kind == "Go" {
						up = newSecureUpstream(t, &tls.Config{
							Certificates: []tls.Certificate{id.TLS}, MinVersion: version, MaxVersion: version,
						})
						secure = up.Listener.Addr().String()
					} else {
						Nginx(t, nginxTLS(secure, id, version)+"location / { proxy_pass "+checking.URL+
							"; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; }")
					}
					p := mode.Start(t, toSecure("https://"+secure, addr, fmt.Sprintf("ca = [%q]\n", ca.File)),
						"--shards", "1")
					exchangeSizes(t, "http://"+addr)
					p.Stop()
					if up != nil && up.conns.Load() > 2 {
						t.Errorf("%d connections to the upstream, one after the other", up.conns.Load())
					}
				})
			}
		}
	})
}

// nginxTLS has nginx listen on an address more, by TLS.
func nginxTLS(addr string, id *Identity, version uint16) string {
	return fmt.Sprintf("listen %s ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols %s;\n", addr, id.Cert,
		id.Key, map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[version])
}

// Upstreams that prove who they are, and those that do not: their requests are answered by 502, and it is told why.
func TestTLSUpstreamVerification(t *testing.T) {
	ca, other := NewAuthority(t, "ca"), NewAuthority(t, "other")
	good := ca.Issue([]string{"127.0.0.1", "up.test"})
	proxy := ca.Issue([]string{"proxy.test"})
	trust := fmt.Sprintf("ca = [%q]\n", ca.File)
	show := trust + fmt.Sprintf("certificate = { cert = %q, key = %q }\n", proxy.Cert, proxy.Key)
	only := func(id *Identity) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{id.TLS}} }
	demanding := only(good)
	demanding.ClientAuth, demanding.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool
	demanding12 := demanding.Clone()
	demanding12.MaxVersion = tls.VersionTLS12
	old := only(good)
	old.MaxVersion = tls.VersionTLS12
	const dated, unknown = "certificate has expired or is not yet valid: current time", "signed by unknown authority"
	cases := []struct {
		name   string
		server *tls.Config
		keys   string
		fails  string // a part of what the log says; empty: it does not fail
	}{
		{"good", only(good), trust, ""},
		{"by name", only(ca.Issue([]string{"up.test"})), trust + "server_name = \"up.test\"\n", ""},
		{"wrong address", only(ca.Issue([]string{"127.0.0.2"})), trust, "is valid for 127.0.0.2, not 127.0.0.1"},
		{"wrong name", only(good), trust + "server_name = \"down.test\"\n", "is valid for up.test, not down.test"},
		{"no name", only(ca.Issue([]string{""}, func(c *x509.Certificate) { c.DNSNames = nil })), trust, "127.0.0.1"},
		{"expired", only(ca.Issue([]string{"127.0.0.1"}, Lasting(-2*time.Hour, -time.Hour))), trust, dated},
		{"not yet", only(ca.Issue([]string{"127.0.0.1"}, Lasting(time.Hour, 2*time.Hour))), trust, dated},
		{"for clients", only(ca.Issue([]string{"127.0.0.1"}, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})), trust, "incompatible key usage"},
		{"unknown authority", only(other.Issue([]string{"127.0.0.1"})), trust, unknown},
		{"unknown to the system", only(good), "", unknown},
		{"not verified", only(other.Issue([]string{"x.test"})), "insecure_skip_verify = true\n", ""},
		{"with a certificate", demanding, show, ""},
		{"with a certificate, 1.2", demanding12, show, ""},
		{"without a certificate", demanding, trust, "alert: certificate_required"},
		{"without a certificate, 1.2", demanding12, trust, "alert: handshake_failure"},
		{"too old", old, trust + "min_version = \"1.3\"\n", "alert: protocol_version"},
		{"1.2 only", old, trust, ""},
	}
	Modes(t, func(t *testing.T, mode Mode) {
		log := filepath.Join(t.TempDir(), "access.log")
		text, addr, at := "", FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		for i, c := range cases {
			text += fmt.Sprintf("[routes.r%d]\npath = \"/%d\"\nservice = \"s%d\"\n[services.s%d]\nendpoints = [%q]\n"+
				"[services.s%d.tls]\n%s", i, i, i, i, newSecureUpstream(t, c.server).endpoint(), i, c.keys)
		}
		p := mode.Start(t, text+fmt.Sprintf("[listeners.l]\naddress = %q\n[log.access]\npath = %q\n"+unwatched, addr,
			log, at))
		client := Client(t)
		for i, c := range cases {
			for range 2 {
				want := 200
				if c.fails != "" {
					want = 502
				}
				if res := get(t, client, "GET", fmt.Sprintf("http://%s/%d", addr, i)); res.StatusCode != want {
					t.Errorf("%s: %d, want %d", c.name, res.StatusCode, want)
				}
			}
		}
		_, metrics := askAdmin(t, at, "/metrics")
		if strings.Contains(metrics, `tls_handshakes_total{side="upstream",result="certificate"} 0`) ||
			!strings.Contains(metrics, `tls_handshakes_total{side="upstream",result="certificate"}`) {
			t.Error("no handshake is counted as refused for the certificate")
		}
		p.Stop()
		for _, line := range accessLines(t, log) {
			i, err := strconv.Atoi(strings.TrimPrefix(line.Path, "/"))
			c := cases[i]
			if do(t, err); (line.Error != "") != (c.fails != "") || !strings.Contains(line.Detail, c.fails) {
				t.Errorf("%s: the log says %q, %q", c.name, line.Error, line.Detail)
			}
		}
	})
}

// An upstream that closes idle connections without a word costs nobody a request.
func TestTLSUpstreamClosesIdle(t *testing.T) {
	ca := NewAuthority(t, "ca")
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue([]string{"127.0.0.1"}).TLS}}
	Modes(t, func(t *testing.T, mode Mode) {
		gone := make(chan struct{}, 1)
		up := NewScripted(t, func(p *Peer) {
			p.Secure(server)
			p.ReadHead()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			p.Cut()
			gone <- struct{}{}
		})
		addr := FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, toSecure("https://"+up.Addr, addr, fmt.Sprintf("ca = [%q]\n", ca.File)), "--shards", "1")
		w := Raw(t, addr)
		for i := range 20 {
			w.Send(Request("GET", "/", "x.test", ""))
			if res := w.ReadResponse("GET"); res.StatusCode != 200 || res.Text != "ok" {
				t.Errorf("request %d: %d %q", i, res.StatusCode, res.Text)
			}
			<-gone
		}
		p.Stop()
	})
}

// An upstream that hands out tickets and changes keys, its own and ours.
func TestTLSUpstreamKeyUpdates(t *testing.T) {
	ca := NewAuthority(t, "ca")
	id := ca.Issue([]string{"127.0.0.1"})
	Modes(t, func(t *testing.T, mode Mode) {
		secure, addr := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		up := startTyped(t, "stdbuf", "-o0", Tool(t, "openssl"), "s_server", "-accept", secure, "-cert", id.Cert,
			"-key", id.Key, "-tls1_3")
		up.WaitOutput("ACCEPT", 1)
		p := mode.Start(t, toSecure("https://"+secure, addr, fmt.Sprintf("ca = [%q]\n", ca.File)), "--shards", "1")
		w := Raw(t, addr)
		for i, key := range []string{"k", "K", "K", "k"} {
			w.Send(Request("GET", fmt.Sprint("/update/", i), "x.test", ""))
			up.WaitOutput(fmt.Sprintf("GET /update/%d", i), 1)
			up.line(key)
			up.WaitOutput("SSL_do_handshake -> 1", i+1)
			up.line("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfive!")
			if res := w.ReadResponse("GET"); res.Text != "five!\n" {
				t.Errorf("%d %q", res.StatusCode, res.Text)
			}
		}
		p.Stop()
		up.WaitOutput("CONNECTION CLOSED", 1)
		if n := strings.Count(up.Output(), "CIPHER is"); n != 1 {
			t.Errorf("%d connections to the upstream, want one", n)
		}
	})
}
