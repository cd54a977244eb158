package e2e

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
)

// matrix is a proxy that everybody talks to.
type matrix struct {
	*Proxy
	mode         Mode
	addr, strict string // listeners; the second knows whom it is for, or refuses
	ca           *Authority
	client       *Identity // issued by ca
	stranger     *Identity // by somebody whom nobody trusts
}

const (
	matrixName = "a.test"
	narrowName = "narrow.test" // agrees on P-384 only
)

// policyNames have policies for client certificates of their own.
var policyNames = []string{"request", "require", "verify"}

// matrixed starts a proxy with everything switched on, and checks at its end that it has kept nothing.
func matrixed(t *testing.T, mode Mode, test func(m *matrix)) {
	ca := NewAuthority(t, "those whom we trust")
	m := &matrix{
		mode: mode, addr: FreeAddr(t, "127.0.0.1"), strict: FreeAddr(t, "127.0.0.1"), ca: ca,
		client: ca.Issue([]string{"client.test"}), stranger: NewAuthority(t, "others").Issue([]string{"client.test"}),
	}
	names := []string{matrixName, narrowName, "127.0.0.1"}
	for _, name := range policyNames {
		names = append(names, name+".test")
	}
	ids := []*Identity{ca.Issue(names), ca.IssueRSA(names)}
	config := Config(NewChecking(t).URL) + SecureListener("strict", m.strict, ids...) + "strict = true\n" +
		SecureListener("main", m.addr, ids...) +
		`curves = ["X25519MLKEM768", "X25519", "P-256", "P-384", "P-521"]
client_certificate.forward = ["subject"]
names."narrow.test".curves = ["P-384"]
names."require.test".client_certificate.mode = "require"
`
	for _, mode := range []string{"request", "verify"} {
		config += fmt.Sprintf("names.\"%s.test\".client_certificate = { mode = %q, ca = [%q] }\n", mode, mode, ca.File)
	}
	m.Proxy = mode.Start(t, config)
	test(m)
	m.Stop()
}

// config is a Go client's, for name.
func (m *matrix) config(name string) *tls.Config {
	return &tls.Config{ServerName: name, RootCAs: m.ca.Pool}
}

// askAll makes requests on w, several at a time, and checks the answers. The last one is returned.
func askSecure(t *testing.T, w *Wire, tag string) Response {
	t.Helper()
	target, body := "/"+tag, strings.Repeat("body ", 5000)
	w.Send(Request("GET", target, matrixName, "") + Request("POST", target, matrixName, body) +
		Request("GET", target+"?n=50000", matrixName, ""))
	var last Response
	for _, want := range []string{
		SumText("GET", target, ""), SumText("POST", target, body), SumText("GET", target+"?n=50000", ""),
	} {
		last = w.ReadResponse("GET")
		if got := last.Header.Get("X-Sum"); got != want || !strings.HasPrefix(last.Text, want+"\n") {
			t.Fatalf("%s: %d, sum %q, want %q", tag, last.StatusCode, got, want)
		}
	}
	return last
}

// Whatever can be agreed on with Go's client: each version, suite and curve, with a new session and a resumed one.
func TestTLSMatrixOfGo(t *testing.T) {
	suites := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	curves := []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			for _, curve := range append(curves, tls.X25519MLKEM768) {
				c := m.config(matrixName)
				c.MinVersion, c.CurvePreferences = tls.VersionTLS13, []tls.CurveID{curve}
				t.Run("1.3 "+curve.String(), func(t *testing.T) { m.agree(t, c) })
			}
			for _, suite := range suites {
				for _, curve := range curves {
					c := m.config(matrixName)
					c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite}
					c.CurvePreferences = []tls.CurveID{curve}
					t.Run(tls.CipherSuiteName(suite)+" "+curve.String(), func(t *testing.T) { m.agree(t, c) })
				}
			}
		})
	})
}

// agree connects twice with what c leaves as the only choice, the second time with the session of the first.
func (m *matrix) agree(t *testing.T, c *tls.Config) {
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	version, curve, suite := uint16(tls.VersionTLS13), c.CurvePreferences[0], uint16(0)
	if c.MaxVersion != 0 {
		version, suite = c.MaxVersion, c.CipherSuites[0]
	}
	if m.mode.Relayed && (curve == tls.X25519 || strings.Contains(tls.CipherSuiteName(suite), "CHACHA20")) {
		if _, err := TrySecure(t, m.addr, c); err == nil {
			t.Error("FIPS 140 does not allow that")
		}
		return
	}
	for _, resumed := range []bool{false, true} {
		w := Secure(t, m.addr, c)
		askSecure(t, w, "go")
		is := w.State()
		if is.Version != version || is.DidResume != resumed || suite != 0 && is.CipherSuite != suite ||
			(version == tls.VersionTLS13 || !resumed) && is.CurveID != curve || is.NegotiatedProtocol != "" {
			t.Errorf("agreed on %s, %s, %v, %q, resumed: %v", tls.VersionName(is.Version),
				tls.CipherSuiteName(is.CipherSuite), is.CurveID, is.NegotiatedProtocol, is.DidResume)
		}
		w.Close()
	}
}
