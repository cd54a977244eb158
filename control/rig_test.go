package control

import (
	"bytes"
	"context"
	"errors"
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

// rig is a manager whose file, resolver, log and data plane the test holds.
type rig struct {
	t     testing.TB
	path  string
	m     *Manager
	log   logBuffer
	level slog.LevelVar

	mu        sync.Mutex
	hosts     map[string]string // addresses with blanks between them; none: the look-up fails
	prepare   func() error      // what Prepare does, when there is something
	published []*plan.Snapshot
	attempts  []*Attempt
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "proxy.toml"), hosts: map[string]string{}}
	r.m = New(Options{
		Paths: []string{r.path}, Publisher: r, Resolver: r, Level: &r.level, Ended: r.ended,
		Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	})
	return r
}

func (r *rig) lock() (unlock func()) { r.mu.Lock(); return r.mu.Unlock }

func (r *rig) Prepare(*plan.Snapshot) error {
	defer r.lock()()
	if r.prepare == nil {
		return nil
	}
	return r.prepare()
}

func (r *rig) Publish(s *plan.Snapshot) {
	defer r.lock()()
	r.published = append(r.published, s)
}

func (r *rig) ended(a *Attempt) {
	defer r.lock()()
	r.attempts = append(r.attempts, a)
}

func (r *rig) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	defer r.lock()()
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
	a := r.m.Reload(r.t.Context(), BySignal)
	if a.Err != nil || len(r.published) != n+1 {
		r.t.Fatalf("%v, %d snapshots published", a.Err, len(r.published)-n)
	}
	snap := r.published[n]
	if s := r.m.Status(); a.Generation != snap.Generation || s.Snapshot != snap || s.Last != a || s.Refused != nil {
		r.t.Errorf("attempt %+v, status %+v", a, s)
	}
	return snap
}

// refused returns the attempt of a reload of text, which must change nothing.
func (r *rig) refused(text string) *Attempt {
	r.t.Helper()
	r.write(text)
	n, before := len(r.published), r.m.Status()
	a, s := r.m.Reload(r.t.Context(), BySignal), r.m.Status()
	if a.Err == nil || a.Generation != 0 || len(r.published) != n {
		r.t.Fatalf("%+v, %d snapshots published", a, len(r.published)-n)
	}
	if s.Snapshot != before.Snapshot || s.Last != a || s.Refused != a || s.Failed != before.Failed+1 {
		r.t.Errorf("attempt %+v, status %+v", a, s)
	}
	return a
}

func (r *rig) logged(want string) {
	r.t.Helper()
	if !strings.Contains(r.log.String(), want) {
		r.t.Errorf("no %s in the log:\n%s", want, r.log.String())
	}
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
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
