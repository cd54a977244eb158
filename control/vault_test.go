package control

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// certificate puts a new certificate beside the configuration, as NAME.crt and NAME.key.
func (r *rig) certificate(name string, names ...string) {
	r.t.Helper()
	c, err := certs.SelfSigned(names...)
	if err != nil {
		r.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.TLS.PrivateKey)
	if err != nil {
		r.t.Fatal(err)
	}
	r.put(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.TLS.Certificate[0]}))
	r.put(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// put writes a file beside the configuration.
func (r *rig) put(name string, text []byte) {
	r.t.Helper()
	path := filepath.Join(filepath.Dir(r.path), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

const secure = `
[listeners.web]
address = "127.0.0.1:8443"
[listeners.web.tls]
certificates = [{ cert = "a.crt", key = "a.key" }, { cert = "b.crt", key = "b.key" }]
[listeners.other]
address = "127.0.0.1:8444"
hsts = "max-age=60"
[listeners.other.tls]
certificate_dir = "more"
[listeners.plain]
address = "127.0.0.1:8080"
redirect_https = { port = 8443, code = 308 }
[routes.main]
service = "app"
[services.app]
endpoints = ["https://10.0.0.1:443"]
[services.old]
endpoints = ["http://10.0.0.1:443"]
[services.raw]
endpoints = ["tcp://10.0.0.1:443"]
[tcp_routes.raw]
listeners = ["web"]
rule = "SNI(` + "`raw.test`" + `)"
service = "raw"
`

// secured writes the certificates of secure.
func (r *rig) secured() {
	r.certificate("a", "a.test")
	r.certificate("b", "b.test")
	r.certificate("more/c", "c.test")
}

func listener(t *testing.T, s *plan.Snapshot, name string) *plan.Listener {
	t.Helper()
	for i := range s.Listeners {
		if s.Listeners[i].Name == name {
			return &s.Listeners[i]
		}
	}
	t.Fatalf("there is no listener %s", name)
	return nil
}

// Whether upstreams are told of certificates by any listener is a fact of the whole, which ends with the last of them.
func TestVouches(t *testing.T) {
	r := newRig(t)
	r.secured()
	if r.start(secure).Vouches {
		t.Error("nobody forwards certificates")
	}
	with := strings.Replace(secure, "certificate_dir = \"more\"\n", "certificate_dir = \"more\"\n"+
		"client_certificate = { mode = \"request\", ca = [\"a.crt\"], forward = [\"san\"] }\n", 1)
	if !r.reload(with).Vouches || r.reload(secure).Vouches {
		t.Error("what a listener forwards is not what the snapshot says")
	}
}

func TestTLSCompiles(t *testing.T) {
	r := newRig(t)
	r.secured()
	s := r.start(secure)
	web, other, plain := listener(t, s, "web"), listener(t, s, "other"), listener(t, s, "plain")
	if web.TLS == nil || other.TLS == nil || plain.TLS != nil || web.TLS.Timeout != 10*time.Second {
		t.Errorf("TLS: web %+v, other %+v, plain %+v", web.TLS, other.TLS, plain.TLS)
	}
	redirect := plan.Redirect{Port: 8443, Code: 308}
	if other.HSTS != "max-age=60" || plain.Redirect == nil || *plain.Redirect != redirect {
		t.Errorf("HSTS %q, redirect %+v", other.HSTS, plain.Redirect)
	}
	if web.Streams == nil || other.Streams != nil || plain.Streams != nil {
		t.Error("streams are for those listeners that their routes name")
	}
	app, old, raw := s.Services[0], s.Services[1], s.Services[2]
	if a, o := app.Endpoints[0], old.Endpoints[0]; a.TLS == nil || o.TLS != nil || a.ID == o.ID {
		t.Errorf("endpoints: %+v and %+v", a, o)
	}
	if !raw.Stream || app.Stream || raw.Endpoints[0].ID != old.Endpoints[0].ID {
		t.Errorf("services %+v", s.Services)
	}
	ask := func(name string) int {
		return web.Streams.MatchHello(&routing.Request{TLS: &routing.Hello{SNI: []byte(name)}})
	}
	if at := ask("raw.test"); at < 0 || s.Streams[at].Name != "raw" || s.Services[s.Streams[at].Service].Name != "raw" {
		t.Errorf("raw.test leads to %d of %+v", at, s.Streams)
	}
	if at := ask("a.test"); at >= 0 {
		t.Errorf("a.test leads to stream %d", at)
	}
	if all := r.m.Status().Certificates(); len(all) != 3 {
		t.Errorf("%d certificates in force", len(all))
	}
}

// What a change does not concern is the same value in the next snapshot.
func TestTLSIsShared(t *testing.T) {
	r := newRig(t)
	r.secured()
	before := r.start(secure)
	certificates := func() map[*certs.Certificate]string {
		all := map[*certs.Certificate]string{}
		for c := range r.m.world.certificates {
			all[c] = c.Names[0]
		}
		return all
	}
	known := certificates()
	same := func(what string, s *plan.Snapshot, web, other, endpoint bool) {
		t.Helper()
		for name, want := range map[string]bool{"web": web, "other": other} {
			if got := listener(t, s, name).TLS == listener(t, before, name).TLS; got != want {
				t.Errorf("%s: the TLS of %s is the same: %v", what, name, got)
			}
		}
		is, was := s.Services[0].Endpoints[0], before.Services[0].Endpoints[0]
		if is.TLS == was.TLS != endpoint || is.ID == was.ID != endpoint {
			t.Errorf("%s: the endpoint is %+v, was %+v", what, is, was)
		}
		before = s
	}
	same("another listener", r.reload(strings.Replace(secure, ":8080", ":8081", 1)), true, true, true)
	r.certificate("b", "b.test")
	same("one certificate", r.reload(secure), false, true, true)
	fresh := 0
	for c, name := range certificates() {
		if known[c] == "" {
			fresh++
			if name != "b.test" {
				t.Errorf("%s was parsed again", name)
			}
		}
	}
	if fresh != 1 {
		t.Errorf("%d certificates were parsed", fresh)
	}
	policy := strings.Replace(secure, `certificate_dir = "more"`,
		"certificate_dir = \"more\"\nmin_version = \"1.3\"", 1)
	was := r.m.world.listeners["other"].set
	same("a policy", r.reload(policy), true, false, true)
	if r.m.world.listeners["other"].set != was {
		t.Error("a policy has changed the set of certificates")
	}
	upstream := policy + "[services.app.tls]\nserver_name = \"app.test\"\n"
	same("another server name", r.reload(upstream), true, true, false)
	same("nothing", r.reload(upstream), true, true, true)
}

// A file that cannot be used is a fault where it is named; at a reload the last good configuration stays.
func TestFaultyCertificates(t *testing.T) {
	r := newRig(t)
	r.secured()
	r.put("more/d.crt", []byte("nothing"))
	r.write(secure)
	_, _, err := r.m.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), ":10:19: listeners.other.tls.certificate_dir: found ") {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(r.path), "more/d.crt")); err != nil {
		t.Fatal(err)
	}
	r.start(secure)
	key := filepath.Join(filepath.Dir(r.path), "b.key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	a := r.refused(secure)
	want := r.path + ":5:76: listeners.web.tls.certificates[1].key: found " + key + ", which does not exist"
	if a.Found != 1 || !strings.HasPrefix(a.Err.Error(), want) {
		t.Errorf("%d faults: %v", a.Found, a.Err)
	}
	r.certificate("b", "b.test")
	r.m.retry(t.Context())
	if s := r.m.Status(); s.Refused != nil || s.Last.Trigger != ByRetry {
		t.Errorf("after the file came back: %+v", s.Last)
	}
}

// Files that the configuration names are looked at when the watcher says that something has changed.
func TestMaterialIsWatched(t *testing.T) {
	r := newRig(t)
	r.secured()
	r.start(secure)
	if a := r.m.Reload(t.Context(), ByWatch); a != nil {
		t.Errorf("nothing has changed: %+v", a)
	}
	for _, name := range []string{"a", "more/c", "more/new"} {
		r.certificate(name, "x.test")
		if a := r.m.Reload(t.Context(), ByWatch); a == nil || a.Err != nil {
			t.Errorf("%s has changed: %+v", name, a)
		}
		if a := r.m.Reload(t.Context(), ByWatch); a != nil {
			t.Errorf("nothing has changed after %s: %+v", name, a)
		}
	}
	if paths := *r.m.named.Load(); len(paths) != 5 {
		t.Errorf("watched: %q", paths)
	}
}

// Keys of tickets are renewed by the clock, and nothing else with them.
func TestTicketsRotate(t *testing.T) {
	r := newRig(t)
	r.secured()
	now := time.Now()
	r.m.vault.now = func() time.Time { return now }
	text := strings.Replace(secure, `certificate_dir = "more"`,
		"certificate_dir = \"more\"\ntickets = { rotate = \"1h\" }", 1)
	before := r.start(text)
	if wait := r.m.Renew(t.Context()); wait != time.Hour || len(r.published) != 0 {
		t.Errorf("to be renewed after %v, %d snapshots published", wait, len(r.published))
	}
	now = now.Add(59 * time.Minute)
	if wait := r.m.Renew(t.Context()); wait != time.Minute || len(r.published) != 0 {
		t.Errorf("to be renewed after %v, %d snapshots published", wait, len(r.published))
	}
	now = now.Add(time.Minute)
	r.m.Renew(t.Context())
	if len(r.published) != 1 || r.m.Status().Last.Trigger != ByTLS {
		t.Fatalf("%d snapshots published", len(r.published))
	}
	after := r.published[0]
	if listener(t, after, "other").TLS == listener(t, before, "other").TLS {
		t.Error("the keys of tickets are the same")
	}
	if listener(t, after, "web").TLS != listener(t, before, "web").TLS {
		t.Error("tickets that have time were renewed")
	}
}

// A certificate is mentioned once at each threshold.
func TestExpiryIsLogged(t *testing.T) {
	r := newRig(t)
	r.secured()
	r.start(secure)
	now := time.Now()
	r.m.vault.now = func() time.Time { return now }
	end := r.m.Status().Certificates()[0].NotAfter
	count := func(want int) {
		t.Helper()
		for range 2 {
			r.m.Renew(t.Context())
		}
		if n := strings.Count(r.log.String(), "certificate expires soon"); n != want {
			t.Errorf("%v before the end: mentioned %d times, want %d", end.Sub(now), n, want)
		}
	}
	count(0)
	for i, days := range []int{14, 7, 3, 1} {
		now = end.Add(-time.Duration(days)*24*time.Hour - time.Hour)
		count(3 * i)
		now = now.Add(2 * time.Hour)
		count(3 * (i + 1))
	}
	now = end.Add(time.Hour)
	count(12)
	r.logged("certificate has expired")
	r.logged(fmt.Sprintf("names=[%s]", "a.test"))
}
