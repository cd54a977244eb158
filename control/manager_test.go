package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
)

// rig is a manager whose file, resolver, log and published snapshots the test holds.
type rig struct {
	t         *testing.T
	path      string
	m         *Manager
	published []*plan.Snapshot
	log       bytes.Buffer
	level     slog.LevelVar
	mu        sync.Mutex
	hosts     map[string]string // addresses with blanks between them; none: the look-up fails
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "proxy.toml"), hosts: map[string]string{}}
	r.m = New(Options{
		Paths: []string{r.path}, Publisher: r, Resolver: r, Level: &r.level,
		Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	})
	return r
}

func (r *rig) Prepare(*plan.Snapshot) error { return nil }

func (r *rig) Publish(s *plan.Snapshot) { r.published = append(r.published, s) }

func (r *rig) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if network != "ip" {
		r.t.Errorf("network %q", network)
	}
	var addrs []netip.Addr
	for s := range strings.FieldsSeq(r.hosts[host]) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if len(addrs) == 0 {
		return nil, errors.New("server failure")
	}
	return addrs, nil
}

func (r *rig) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start(text string) *plan.Snapshot {
	r.t.Helper()
	r.write(text)
	cfg, snap, err := r.m.Start(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	cfg.Engine = config.Engine{Backend: "uring", Shards: 99} // as the command line may: not a change of the file
	return snap
}

// reload returns the snapshot that a reload of text must publish.
func (r *rig) reload(text string) *plan.Snapshot {
	r.t.Helper()
	r.write(text)
	n := len(r.published)
	if err := r.m.Reload(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if len(r.published) != n+1 {
		r.t.Fatalf("%d snapshots published", len(r.published)-n)
	}
	return r.published[n]
}

func (r *rig) logged(want string) {
	r.t.Helper()
	if !strings.Contains(r.log.String(), want) {
		r.t.Errorf("no %s in the log:\n%s", want, r.log.String())
	}
}

const base = `
[listeners.web]
address = "127.0.0.1:8080"
[listeners.internal]
address = "unix:/run/internal.sock"
[routes.main]
service = "app"
[routes.api]
host = "api.test"
listeners = ["web"]
service = "api"
[services.app]
endpoints = ["http://10.0.0.1:80", "http://10.0.0.2:80"]
[services.api]
endpoints = ["http://10.0.0.2:80", "unix:/run/api.sock"]
`

func TestStartCompiles(t *testing.T) {
	r := newRig(t)
	s := r.start(base)
	if s.Generation != 1 || s.Source != r.path || s.Created.IsZero() || len(r.published) != 0 {
		t.Errorf("generation %d of %q, %d published", s.Generation, s.Source, len(r.published))
	}
	api, app := s.Services[0], s.Services[1]
	if api.Name != "api" || app.Name != "app" || api.ID == app.ID {
		t.Errorf("services: %+v", s.Services)
	}
	if app.Endpoints[1].ID != api.Endpoints[0].ID || app.Endpoints[0].ID == app.Endpoints[1].ID {
		t.Error("an endpoint's ID follows its address")
	}
	if e := api.Endpoints[1]; e.Unix != "/run/api.sock" || e.Name != "unix:/run/api.sock" || e.Addr.IsValid() {
		t.Errorf("endpoint: %+v", e)
	}
	internal, web := s.Listeners[0], s.Listeners[1]
	for _, c := range []struct {
		l       plan.Listener
		host    string
		service string
	}{{web, "api.test", "api"}, {web, "x.test", "app"}, {internal, "api.test", "app"}} {
		if got := s.Services[s.Routes[c.l.Table.Match([]byte(c.host), []byte("/"))].Service].Name; got != c.service {
			t.Errorf("%s on %s leads to %s", c.host, c.l.Name, got)
		}
	}
}

func TestEmbeddedDefault(t *testing.T) {
	m := New(Options{Log: slog.New(slog.DiscardHandler)})
	cfg, s, err := m.Start(t.Context())
	if err != nil || s.Source != config.DefaultSource || cfg.Source != s.Source || len(s.Services[0].Endpoints) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStartReportsAllFaults(t *testing.T) {
	r := newRig(t)
	r.write(strings.Replace(base, "http://10.0.0.1:80", "http://gone.test", 1))
	_, _, err := r.m.Start(t.Context())
	want := r.path + `:13:14: services.app.endpoints[0]: found the host name "gone.test", which does not resolve, ` +
		`expected a name with an address; server failure`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestReloadKeepsIDs(t *testing.T) {
	r := newRig(t)
	before := r.start(base)
	r.reload(strings.NewReplacer("services.api", "services.aaa", `"api"`, `"aaa"`).Replace(base))
	after := r.reload(base + "[services.new]\nendpoints = [\"http://10.0.0.9\", \"http://10.0.0.1:80\"]\n")
	if after.Generation != 3 {
		t.Errorf("generation %d", after.Generation)
	}
	for i, s := range before.Services {
		if after.Services[i].ID != s.ID {
			t.Errorf("service %s had ID %d, now %d", s.Name, s.ID, after.Services[i].ID)
		}
		for j, e := range s.Endpoints {
			if after.Services[i].Endpoints[j] != e {
				t.Errorf("endpoint %+v is now %+v", e, after.Services[i].Endpoints[j])
			}
		}
	}
	if added := after.Services[2]; added.ID != 3 || added.Endpoints[1].ID != before.Services[1].Endpoints[0].ID {
		t.Errorf("the new service: %+v", added)
	}
	r.logged("configuration reloaded")
}

func TestBadReloadKeepsTheLastGoodOne(t *testing.T) {
	r := newRig(t)
	r.start(base)
	r.write(base + "[limit]\n[routes.x]\nhost = \"x\"\nservice = \"ap\"\n")
	err := r.m.Reload(t.Context())
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) != 2 || len(r.published) != 0 {
		t.Errorf("%v, %d published", err, len(r.published))
	}
	r.logged(`key=limit found="an unknown key"`)
	r.logged(`line=19 column=11 key=routes.x.service`)
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if err := r.m.Reload(t.Context()); err == nil || len(r.published) != 0 {
		t.Errorf("%v, %d published", err, len(r.published))
	}
	if s := r.reload(base); s.Generation != 2 {
		t.Errorf("generation %d", s.Generation)
	}
}

func TestReloadNamesWhatHasToWait(t *testing.T) {
	r := newRig(t)
	before := r.start(base)
	after := r.reload(`
[engine]
backend = "epoll"
tier = "T1"
shards = 7
pin = true
[limits]
max_connections = 5
shard_buffer_bytes = "2MiB"
header_count = 50
[log]
level = "debug"
access = { path = "stderr", format = "clf" }
[listeners.other]
address = "127.0.0.1:9999"
[listeners.renamed]
address = "unix:/run/internal.sock"
trusted_proxies = ["10.0.0.0/8"]
[routes.only]
listeners = ["renamed"]
service = "app"
[services.app]
endpoints = ["http://10.0.0.1:80"]
`)
	for _, key := range []string{
		"engine.backend", "engine.tier", "engine.shards", "engine.pin", "limits.max_connections",
		"limits.shard_buffer_bytes", "log.access.path", "log.access.format", `"listeners.web (removed)"`,
		`"listeners.other (added)"`,
	} {
		r.logged(`msg="changed setting takes effect at the next start" key=` + key + "\n")
	}
	if n := strings.Count(r.log.String(), "level=WARN"); n != 10 {
		t.Errorf("%d warnings:\n%s", n, r.log.String())
	}
	if r.level.Level() != slog.LevelDebug {
		t.Error("the level did not follow")
	}
	want := before.Limits
	want.HeaderCount = 50
	if after.Limits != want || after.AccessLog != before.AccessLog {
		t.Errorf("%+v, %+v", after.Limits, after.AccessLog)
	}
	internal, web := after.Listeners[0], after.Listeners[1]
	if internal.Name != "renamed" || internal.Unix != "/run/internal.sock" || len(internal.Trusted) != 1 ||
		internal.Table.Match(nil, []byte("/")) != 0 {
		t.Errorf("renamed: %+v", internal)
	}
	if web.Addr != before.Listeners[1].Addr || web.Table.Match(nil, []byte("/")) != -1 {
		t.Errorf("removed: %+v", web)
	}
}

func TestMovedListenerServesOnItsOldAddress(t *testing.T) {
	r := newRig(t)
	before := r.start(base)
	after := r.reload(strings.Replace(base, "127.0.0.1:8080", "127.0.0.1:9090", 1))
	r.logged("key=listeners.web.address")
	l := after.Listeners[1]
	if l.Addr != before.Listeners[1].Addr || l.Table.Match([]byte("api.test"), []byte("/")) < 0 {
		t.Errorf("%+v", l)
	}
}

const named = `
[listeners.web]
address = "127.0.0.1:8080"
[routes.main]
service = "app"
[services.app]
endpoints = [{ url = "http://a.test:81", weight = 2 }, "http://b.test:81", "http://10.0.0.1:81"]
`

func TestNamesBecomeEndpoints(t *testing.T) {
	r := newRig(t)
	r.hosts["a.test"] = "::1 10.0.0.3 ::ffff:10.0.0.1 10.0.0.3"
	r.hosts["b.test"] = "fd00::2 fd00::1"
	s := r.start(named)
	var got []string
	for _, e := range s.Services[0].Endpoints {
		got = append(got, e.Name+"="+e.Addr.String())
	}
	want := "http://a.test:81=10.0.0.1:81 http://a.test:81=10.0.0.3:81 " +
		"http://b.test:81=[fd00::1]:81 http://b.test:81=[fd00::2]:81"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	turns := make([]int, 4)
	for _, i := range s.Services[0].Cycle {
		turns[i]++
	}
	if fmt.Sprint(turns) != "[3 2 1 1]" {
		t.Errorf("turns: %v", turns)
	}
}

func TestRefresh(t *testing.T) {
	r := newRig(t)
	r.hosts["a.test"], r.hosts["b.test"] = "10.1.0.1 10.1.0.2", "10.2.0.1"
	before := r.start(named)
	r.hosts["a.test"] = "10.1.0.2 10.1.0.1"
	if r.m.Refresh(t.Context()); len(r.published) != 0 {
		t.Fatal("published although only the order changed")
	}
	r.hosts["a.test"] = "10.1.0.2 10.1.0.3"
	if r.m.Refresh(t.Context()); len(r.published) != 1 {
		t.Fatalf("%d published", len(r.published))
	}
	after := r.published[0].Services[0].Endpoints
	if old := before.Services[0].Endpoints; after[0].ID != old[1].ID || after[1].ID == old[0].ID ||
		after[1].Addr.String() != "10.1.0.3:81" {
		t.Errorf("%+v", after)
	}
	r.hosts["a.test"] = ""
	r.m.Refresh(t.Context())
	r.m.Refresh(t.Context())
	if n := strings.Count(r.log.String(), "host name does not resolve, its addresses stay"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if len(r.published) != 1 {
		t.Errorf("%d published", len(r.published))
	}
	if s := r.reload(named); s.Services[0].Endpoints[0] != after[0] {
		t.Error("a reload forgets addresses that cannot be looked up now")
	}
	r.hosts["a.test"] = "10.1.0.2 10.1.0.3"
	if r.m.Refresh(t.Context()); len(r.published) != 2 {
		t.Errorf("%d published", len(r.published))
	}
	r.logged("host name resolves again")
}

func TestTooManyAddresses(t *testing.T) {
	r := newRig(t)
	r.hosts["b.test"] = "10.2.0.1"
	var all strings.Builder
	for i := range maxEndpoints {
		fmt.Fprintf(&all, "10.3.%d.%d ", i/256, i%256)
	}
	r.hosts["a.test"] = all.String()
	r.write(named)
	if _, _, err := r.m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "4098 endpoint addresses") {
		t.Error(err)
	}
}

func TestWatchEnds(t *testing.T) {
	r := newRig(t)
	r.start(base)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		r.m.Watch(ctx)
		close(done)
	}()
	cancel()
	<-done
}
