package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
)

// one is a session cache for which all servers are the same one.
type one struct{ tls.ClientSessionCache }

func oneSession() one { return one{tls.NewLRUClientSessionCache(1)} }

func (c one) Get(string) (*tls.ClientSessionState, bool) { return c.ClientSessionCache.Get("") }
func (c one) Put(_ string, s *tls.ClientSessionState)    { c.ClientSessionCache.Put("", s) }

// The same bytes in unusual pieces, in both versions, with new sessions and with resumed ones.
func TestTLSInPieces(t *testing.T) {
	shapes := map[string]func(net.Conn) net.Conn{
		"a byte at a time":         func(c net.Conn) net.Conn { return trickle{c} },
		"hello in records of 1":    func(c net.Conn) net.Conn { return &shredded{Conn: c, size: 1} },
		"hello in records of 100":  func(c net.Conn) net.Conn { return &shredded{Conn: c, size: 100} },
		"hello in trickled pieces": func(c net.Conn) net.Conn { return &shredded{Conn: trickle{c}, size: 7} },
		"finished with data":       func(c net.Conn) net.Conn { return &gathered{Conn: c} },
	}
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for name, shape := range shapes {
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
						c := m.config(matrixName)
						c.MaxVersion, c.ClientSessionCache = version, oneSession()
						m.inPieces(t, c, shape)
					})
				}
			}
		})
	})
}

// inPieces connects three times. Where Finished waits for what comes behind it, the client must be the one who says it
// last: in TLS 1.2 that is so in a resumed session.
func (m *matrix) inPieces(t *testing.T, c *tls.Config, shape func(net.Conn) net.Conn) {
	for i := range 3 {
		under := shape(Raw(t, m.addr).conn)
		g, gathers := under.(*gathered)
		if gathers && c.MaxVersion == tls.VersionTLS12 && i == 0 {
			g.open, gathers = true, false
		}
		w, err := secureOver(t, under, c)
		if err != nil {
			t.Fatal(err)
		}
		if w.State().DidResume != (i > 0) {
			t.Errorf("connection %d: resumed: %v", i, w.State().DidResume)
		}
		if gathers {
			w.Send(Request("GET", "/early", matrixName, ""))
			do(t, g.Release())
			if res := w.ReadResponse("GET"); res.Header.Get("X-Sum") != SumText("GET", "/early", "") {
				t.Errorf("%d %q", res.StatusCode, res.Text)
			}
		}
		askSecure(t, w, fmt.Sprint(i))
		w.Close()
	}
}

// A group that the server has to ask for, in both kinds of session.
func TestTLSHelloRetryRequest(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for name, shape := range map[string]func(net.Conn) net.Conn{
				"whole":            func(c net.Conn) net.Conn { return c },
				"a byte at a time": func(c net.Conn) net.Conn { return trickle{c} },
				"in records of 9":  func(c net.Conn) net.Conn { return &shredded{Conn: c, size: 9} },
			} {
				c := m.config(narrowName)
				c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				for _, resumed := range []bool{false, true} {
					w, err := secureOver(t, shape(Raw(t, m.addr).conn), c)
					do(t, err)
					askSecure(t, w, "retry")
					is := w.State()
					if !is.HelloRetryRequest || is.CurveID != tls.CurveP384 || is.DidResume != resumed {
						t.Errorf("%s: asked again: %v, group %v, resumed: %v", name, is.HelloRetryRequest, is.CurveID,
							is.DidResume)
					}
					w.Close()
				}
			}
			c := m.config(narrowName)
			c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
			if _, err := TrySecure(t, m.addr, c); err == nil || !strings.Contains(err.Error(), "handshake failure") {
				t.Errorf("no common group: %v", err)
			}
		})
	})
}

// Names and protocols that the server knows, and those that it does not.
func TestTLSNames(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for _, tt := range []struct {
				name, addr string
				alpn       []string
				want       string // in the error; empty: it works
				protocol   string // agreed on
			}{
				{matrixName, m.addr, []string{"h2", "http/1.1"}, "", "http/1.1"},
				{matrixName, m.addr, []string{"http/1.1"}, "", "http/1.1"},
				{matrixName, m.addr, []string{"h2"}, "no application protocol", ""},
				{matrixName, m.addr, []string{"spdy/3", "acme-tls/1"}, "no application protocol", ""},
				{matrixName, m.strict, nil, "", ""},
				{"A.TEST", m.strict, nil, "", ""},
				{"unknown.test", m.addr, nil, "", ""},
				{"unknown.test", m.strict, nil, "unrecognized name", ""},
				{"127.0.0.1", m.addr, nil, "", ""}, // is no name, and is not sent
				{"127.0.0.1", m.strict, nil, "unrecognized name", ""},
			} {
				c := m.config(tt.name)
				c.NextProtos = tt.alpn
				c.InsecureSkipVerify = tt.name == "unknown.test"
				w, err := TrySecure(t, tt.addr, c)
				if err != nil {
					if tt.want == "" || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("%s %q: %v, want %q", tt.name, tt.alpn, err, tt.want)
					}
					continue
				}
				if tt.want != "" || w.State().NegotiatedProtocol != tt.protocol {
					t.Errorf("%s %q: it works, with %q", tt.name, tt.alpn, w.State().NegotiatedProtocol)
				}
				askSecure(t, w, "name")
			}
		})
	})
}

// Clients that show a certificate, a stranger's, or none, to a server that wishes for one in various ways.
func TestTLSClientCertificates(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for _, tt := range []struct {
					name  string
					shows *Identity
					works bool
					told  string // to the upstream
				}{
					{"request.test", nil, true, ""},
					{"request.test", m.client, true, "CN=client.test,O=e2e"},
					{"request.test", m.stranger, false, ""},
					{"require.test", nil, false, ""},
					{"require.test", m.stranger, true, ""}, // nobody verifies it, so nobody is told
					{"verify.test", nil, false, ""},
					{"verify.test", m.client, true, "CN=client.test,O=e2e"},
					{"verify.test", m.stranger, false, ""},
					{matrixName, m.client, true, ""},
				} {
					c := m.config(tt.name)
					c.MaxVersion, c.ClientSessionCache = version, oneSession()
					if tt.shows != nil {
						shown := tt.shows.TLS
						c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
							return &shown, nil
						}
					}
					for range 2 { // the second time with a session, where there is one
						m.shows(t, c, tt.works, tt.told)
					}
				}
			}
		})
	})
}

// shows connects and asks, and looks at what the upstream was told. In TLS 1.3 the client has done its part before it
// learns that it is refused.
func (m *matrix) shows(t *testing.T, c *tls.Config, works bool, told string) {
	t.Helper()
	what := c.ServerName + " " + tls.VersionName(c.MaxVersion)
	w, err := TrySecure(t, m.addr, c)
	if err == nil && !works {
		_, err = w.in.Peek(1)
	}
	switch {
	case err != nil && works:
		t.Errorf("%s: %v", what, err)
	case err == nil && !works:
		t.Errorf("%s: it is let in", what)
	case works:
		w.Send(Request("GET", "/", c.ServerName, "", "X-Client-Cert-Subject: CN=admin"))
		res := w.ReadResponse("GET")
		if res.Header.Get("X-Got-X-Client-Cert-Subject") != told || res.StatusCode != 200 {
			t.Errorf("%s: %d, the upstream was told %v", what, res.StatusCode, res.Header)
		}
	case !strings.Contains(err.Error(), "remote error: tls: "):
		t.Errorf("%s: %v, want an alert", what, err)
	}
}

// A session that began where nobody had to prove anything opens no door where that is asked for.
func TestTLSResumptionDoesNotPassByVerification(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for _, from := range []string{matrixName, "request.test"} {
					for _, to := range []string{"require.test", "verify.test"} {
						sessions := oneSession()
						c := m.config(from)
						c.MaxVersion, c.ClientSessionCache = version, sessions
						w := Secure(t, m.addr, c)
						askSecure(t, w, "first")
						if _, ok := sessions.Get(""); !ok {
							t.Fatal("there is no session to try with")
						}
						c = m.config(to)
						c.MaxVersion, c.ClientSessionCache = version, sessions
						m.shows(t, c, false, "")
					}
				}
			}
		})
	})
}
