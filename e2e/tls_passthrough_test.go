package e2e

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Connections that a route of streams fits are passed on as they are, so that it is the service that clients shake
// hands with; all others are terminated.
func TestTLSPassthrough(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		ours := ca.Issue([]string{"x.test", "db.test", "grpc.test"})
		theirs := ca.Issue([]string{"x.test", "db.test", "grpc.test"})
		bulk := newSecureBulk(t, theirs)
		config := Config(newBulk(t).URL) + SecureListener("s", addr, ours)
		for name, keys := range map[string]string{
			"db": "sni = \"db.test\"", "old": "rule = \"!TLSVersion(`1.3`)\"", "grpc": "alpn = \"h2\"",
		} {
			config += fmt.Sprintf("[tcp_routes.%s]\n%s\nservice = \"bulk\"\n", name, keys)
		}
		p := mode.Start(t, config+"[services.bulk]\nendpoints = [\"tcp"+bulk[len("https"):]+"\"]\n")
		for _, tt := range []struct {
			name, alpn string
			version    uint16
			passed     bool
		}{
			{"x.test", "http/1.1", tls.VersionTLS13, false},
			{"x.test", "http/1.1", tls.VersionTLS12, true},
			{"x.test", "h2", tls.VersionTLS13, true},
			{"db.test", "http/1.1", tls.VersionTLS13, true},
			{"grpc.test", "http/1.1", tls.VersionTLS13, false},
		} {
			c := &tls.Config{ServerName: tt.name, RootCAs: ca.Pool, MaxVersion: tt.version,
				NextProtos: []string{"http/1.1"}}
			if tt.alpn != "http/1.1" {
				c.NextProtos = append(c.NextProtos, tt.alpn)
			}
			for _, size := range []int{1, 50, 1 << 14} { // of the records that the hello comes in
				w, err := secureOver(t, &shredded{Conn: Raw(t, addr).conn, size: size}, c)
				do(t, err)
				if got := w.State().PeerCertificates[0]; got.Equal(theirs.TLS.Leaf) != tt.passed {
					t.Errorf("%s, %s, %s: passed on: %v", tt.name, tt.alpn, tls.VersionName(tt.version), !tt.passed)
				}
				w.Close()
			}
			client := SecureClient(t, addr, c)
			for what, err := range map[string]error{
				"down": download(client, "https://"+tt.name, 10_000_000),
				"up":   upload(client, "https://"+tt.name, 10_000_000, true),
			} {
				if err != nil {
					t.Errorf("%s, %s, %s: %v", tt.name, tt.alpn, what, err)
				}
			}
			client.CloseIdleConnections()
		}
		p.Stop()
	})
}

// A session that began on one instance is resumed on another that has the same keys, and on none that has others.
func TestTLSSharedTickets(t *testing.T) {
	key := func() string {
		b := make([]byte, 32)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		return hex.EncodeToString(b)
	}
	first, second := key(), key()
	Modes(t, func(t *testing.T, mode Mode) {
		ca, dir := NewAuthority(t, "ca"), t.TempDir()
		id, up := ca.Issue([]string{"x.test"}), NewChecking(t)
		start := func(name, table, text string) string {
			addr, file := FreeAddr(t, "127.0.0.1"), filepath.Join(dir, name)
			do(t, os.WriteFile(file, []byte(text), 0o600))
			tickets := fmt.Sprintf("tickets.%s = %q\n", table, file)
			p := mode.Start(t, Config(up.URL)+SecureListener("s", addr, id)+tickets)
			t.Cleanup(p.Stop)
			return addr
		}
		one := start("one", "keys", first+"\n")
		two := start("two", "keys", second+"\n"+first+"\n") // has changed keys, and knows the old one
		other := start("other", "keys", second+"\n")
		const shared = "a secret of enough bytes"
		secret, same := start("secret", "secret", shared), start("same", "secret", shared)
		for version, c := range versions(ca, "x.test") {
			for _, tt := range []struct {
				from, to string
				resumed  bool
			}{{one, one, true}, {one, two, true}, {one, other, false}, {two, one, false}, {two, other, true},
				{secret, same, true}, {same, one, false}} {
				c = c.Clone()
				c.ClientSessionCache = oneSession()
				askRaw(t, Secure(t, tt.from, c))
				w := Secure(t, tt.to, c)
				if askRaw(t, w); w.State().DidResume != tt.resumed {
					t.Errorf("%s: resumed: %v, want %v", version, w.State().DidResume, tt.resumed)
				}
			}
		}
	})
}
