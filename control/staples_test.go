package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/tls/certs"
)

// An authority that fails is asked again ever more rarely, and one that there is not, never.
func TestAskingAuthorities(t *testing.T) {
	r := newRig(t)
	r.secured()
	now := time.Now()
	asked := map[string]int{}
	r.m.vault.now = func() time.Time { return now }
	r.m.vault.staples.fetch = func(_ context.Context, c *certs.Certificate) ([]byte, time.Time, error) {
		defer r.lock()()
		asked[c.Names[0]]++
		switch c.Names[0] {
		case "a.test":
			return nil, time.Time{}, errors.New("no route to the authority")
		case "b.test":
			return []byte("no response"), now.Add(time.Hour), nil
		}
		return nil, time.Time{}, certs.ErrNoResponder
	}
	text := strings.Replace(secure, "[listeners.web.tls]\n", "[listeners.web.tls]\nocsp_stapling = \"fetch\"\n", 1)
	r.start(strings.Replace(text, "[listeners.other.tls]\n", "[listeners.other.tls]\nocsp_stapling = \"fetch\"\n", 1))
	for _, want := range []struct {
		after time.Duration
		times int
	}{{0, 1}, {30 * time.Second, 1}, {time.Minute, 2}, {90 * time.Second, 2}, {time.Minute, 3}, {time.Hour, 4}} {
		now = now.Add(want.after)
		if wait := r.m.Renew(t.Context()); wait < time.Second || wait > 67*time.Minute {
			t.Errorf("nothing to do for %v", wait)
		}
		if asked["a.test"] != want.times || asked["b.test"] != want.times || asked["c.test"] != 1 {
			t.Errorf("asked %v, want %d times", asked, want.times)
		}
	}
	if n := strings.Count(r.log.String(), "no response to staple"); n != 2 || len(r.published) != 0 {
		t.Errorf("%d warnings, %d snapshots:\n%s", n, len(r.published), r.log.String())
	}
}

// What is not in force any more is forgotten.
func TestStaplesArePruned(t *testing.T) {
	r := newRig(t)
	r.secured()
	r.m.vault.staples.fetch = func(context.Context, *certs.Certificate) ([]byte, time.Time, error) {
		return nil, time.Time{}, certs.ErrNoResponder
	}
	text := strings.Replace(secure, "[listeners.web.tls]\n", "[listeners.web.tls]\nocsp_stapling = \"fetch\"\n", 1)
	r.start(text)
	r.m.Renew(t.Context())
	if n := len(r.m.vault.staples.asked); n != 2 {
		t.Errorf("%d certificates are known", n)
	}
	r.certificate("a", "a.test")
	r.reload(text)
	r.m.Renew(t.Context())
	if n := len(r.m.vault.staples.asked); n != 2 {
		t.Errorf("%d certificates are known after one was exchanged", n)
	}
	r.reload(secure)
	r.m.Renew(t.Context())
	if n := len(r.m.vault.staples.asked); n != 0 {
		t.Errorf("%d certificates are known when none is asked for", n)
	}
}
