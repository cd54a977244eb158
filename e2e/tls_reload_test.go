package e2e

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bundle is a file with a certificate and its key, which is replaced at once.
type bundle struct {
	t    *testing.T
	path string
}

func (b bundle) put(text string) {
	b.t.Helper()
	next := b.path + ".new"
	do(b.t, os.WriteFile(next, []byte(text), 0o600))
	do(b.t, os.Rename(next, b.path))
}

// bundled is both files of an identity in one.
func bundled(t *testing.T, id *Identity) string {
	t.Helper()
	cert, err := os.ReadFile(id.Cert)
	do(t, err)
	key, err := os.ReadFile(id.Key)
	do(t, err)
	return string(cert) + string(key)
}

// A certificate is exchanged under connections that are in use: they go on, and who comes later sees the new one. One
// that does not do leaves the last good one in force, and log, status and metrics say so.
func TestTLSCertificateReload(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, at := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		file := bundle{t, filepath.Join(t.TempDir(), "site.pem")}
		first := ca.Issue([]string{"x.test"}, Lasting(-time.Hour, 40*24*time.Hour))
		second := ca.IssueRSA([]string{"x.test"}, Lasting(-time.Hour, 50*24*time.Hour))
		file.put(bundled(t, first))
		p := mode.Start(t, Config(NewChecking(t).URL)+fmt.Sprintf("[admin]\naddress = %q\n", at)+
			SecureListener("s", addr, &Identity{Cert: file.path, Key: file.path}))
		c := &tls.Config{ServerName: "x.test", RootCAs: ca.Pool}
		shown := func(id *Identity, why string) {
			t.Helper()
			w := Secure(t, addr, c)
			if got := w.State().PeerCertificates[0]; !got.Equal(id.TLS.Leaf) {
				t.Errorf("%s: the certificate %v is shown, want %v", why, got.SerialNumber, id.TLS.Leaf.SerialNumber)
			}
			askRaw(t, w)
			expiry := fmt.Sprintf(`uringproxy_tls_certificate_expiry_timestamp_seconds{name="x.test",source=%q} %v`,
				file.path, float64(id.TLS.Leaf.NotAfter.Unix()))
			if _, metrics := askAdmin(t, at, "/metrics"); !strings.Contains(metrics, expiry) {
				t.Errorf("%s: %q is not in the metrics", why, expiry)
			}
		}
		shown(first, "at start")
		old := Secure(t, addr, c)
		askRaw(t, old)
		file.put(bundled(t, second))
		p.WaitOutput(reloaded+" "+byWatch, 1)
		askRaw(t, old)
		shown(second, "exchanged")
		parts := func(id *Identity) []string { return strings.SplitAfter(bundled(t, id), "END CERTIFICATE-----\n") }
		bad := map[string]string{
			"not PEM":     "this is no certificate",
			"no key":      parts(first)[0],
			"other's key": parts(first)[0] + parts(second)[1],
			"odd key":     strings.ReplaceAll(bundled(t, first), "PRIVATE KEY", "SECRET KEY"),
			"empty file":  "",
		}
		n := 0
		for why, text := range bad {
			file.put(text)
			n++
			p.WaitOutput(notReloaded, n)
			p.WaitOutput(file.path, n)
			askRaw(t, old)
			shown(second, why)
			if code, status := askAdmin(t, at, "/api/status"); code != 200 || !strings.Contains(status, file.path) {
				t.Errorf("%s: the status does not name the file: %s", why, status)
			}
		}
		if _, metrics := askAdmin(t, at, "/metrics"); !strings.Contains(metrics, "uringproxy_config_in_force 0") {
			t.Error("the metrics do not say that the files are not in force")
		}
		file.put(bundled(t, first))
		p.WaitOutput(reloaded+" "+byWatch, 2)
		askRaw(t, old)
		shown(first, "repaired")
		p.Stop()
	})
}

// A whole directory of certificates, into which some are put and from which some are taken.
func TestTLSCertificateDirectory(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, dir := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), t.TempDir()
		ids := map[string]*Identity{}
		add := func(name string) {
			t.Helper()
			id := ca.Issue([]string{name})
			ids[name] = id
			// Watched as it is, a directory has a certificate without a key for a moment: the key comes first.
			for _, file := range [][2]string{{id.Key, name + ".key"}, {id.Cert, name + ".crt"}} {
				b, err := os.ReadFile(file[0])
				do(t, err)
				do(t, os.WriteFile(filepath.Join(dir, file[1]), b, 0o600))
			}
		}
		add("a.test")
		add("b.test")
		p := mode.Start(t, Config(NewChecking(t).URL)+fmt.Sprintf(
			"[listeners.s]\naddress = %q\n[listeners.s.tls]\ncertificate_dir = %q\nstrict = true\n", addr, dir)+
			"[reload]\nwatch = false\n")
		has := func(name string, want bool) {
			t.Helper()
			w, err := TrySecure(t, addr, &tls.Config{ServerName: name, RootCAs: ca.Pool})
			if (err == nil) != want {
				t.Errorf("%s: %v, want it to work: %v", name, err, want)
			}
			if err == nil && !w.State().PeerCertificates[0].Equal(ids[name].TLS.Leaf) {
				t.Errorf("%s: another certificate is shown", name)
			}
		}
		has("a.test", true)
		has("c.test", false)
		add("c.test")
		add("a.test")
		do(t, os.Remove(filepath.Join(dir, "b.test.crt")))
		do(t, os.Remove(filepath.Join(dir, "b.test.key")))
		p.Signal(syscall.SIGHUP)
		p.WaitOutput(reloaded, 1)
		has("a.test", true)
		has("b.test", false)
		has("c.test", true)
		p.Stop()
	})
}
