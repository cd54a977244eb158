package handshake

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func TestTicketsFromKeys(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	lines := []string{hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key),
		base64.RawStdEncoding.EncodeToString(key)}
	got, err := TicketsFromKeys([]byte("# keys\n\n " + strings.Join(lines, "\n") + "\r\n"))
	if err != nil || len(got.roots) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, root := range got.roots {
		if string(root[:]) != string(key) {
			t.Errorf("key %q", root)
		}
	}
	for text, want := range map[string]string{
		"":                           "there is none",
		"# nothing":                  "there is none",
		lines[0] + "\nabcdef":        "line 2",
		lines[0][:62]:                "line 1",
		"secret" + lines[0]:          "line 1",
		strings.Repeat("x", 100_000): "too long",
		base64.StdEncoding.EncodeToString(key[:31]): "line 1",
	} {
		if _, err := TicketsFromKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "abcdef") {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestTicketsFromSecret(t *testing.T) {
	secret := []byte("0123456789abcdef")
	at := time.Unix(1_000_000, 0)
	now, until, err := TicketsFromSecret(secret, at, time.Hour)
	if err != nil || until.Before(at) || until.Sub(at) > time.Hour {
		t.Fatalf("until %v, %v", until, err)
	}
	next, _, err := TicketsFromSecret(secret, until, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if now.roots[0] != next.roots[1] || now.roots[2] != next.roots[0] || now.roots[1] == next.roots[1] {
		t.Error("an epoch's key is not the one that the epochs beside it know")
	}
	again, _, _ := TicketsFromSecret(secret, until.Add(-1), time.Hour)
	if again.roots[0] != now.roots[0] {
		t.Error("keys differ within an epoch")
	}
	for _, other := range []struct {
		secret string
		rotate time.Duration
	}{{"0123456789abcdeF", time.Hour}, {"0123456789abcdef", 2 * time.Hour}} {
		if o, _, _ := TicketsFromSecret([]byte(other.secret), at, other.rotate); o.roots[0] == now.roots[0] {
			t.Errorf("%v has the same key", other)
		}
	}
	if _, _, err := TicketsFromSecret(secret[:15], at, time.Hour); err == nil {
		t.Error("a short secret is taken")
	}
	if _, _, err := TicketsFromSecret(secret, at, time.Second); err == nil {
		t.Error("rotation every second is taken")
	}
}

func TestRotate(t *testing.T) {
	a := RandomTickets()
	b := a.Rotate()
	c := b.Rotate().Rotate()
	if b.roots[1] != a.roots[0] || b.roots[0] == a.roots[0] || len(a.roots) != 1 {
		t.Error("the key before is not kept behind the new one")
	}
	if len(c.roots) != 3 || c.roots[2] != b.roots[0] {
		t.Errorf("%d keys after three rotations", len(c.roots))
	}
}

func TestSecrets(t *testing.T) {
	var s secrets
	random, value := strings.Repeat("01", 32), strings.Repeat("ab", 48)
	for _, line := range []string{
		"CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random + " " + strings.Repeat("00", 32) + "\n",
		"CLIENT_TRAFFIC_SECRET_0 " + random + " " + value + "\n",
		"SERVER_TRAFFIC_SECRET_0 " + random + " " + value[:64] + "\n",
		"CLIENT_RANDOM " + random + " " + value + "\n",
	} {
		if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	for what, c := range map[string]struct{ got, want string }{
		"client": {hex.EncodeToString(s.client.value()), value},
		"server": {hex.EncodeToString(s.server.value()), value[:64]},
		"master": {hex.EncodeToString(s.master.value()), value},
		"random": {hex.EncodeToString(s.random.value()), random},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", what, c.got, c.want)
		}
	}
	for _, line := range []string{"CLIENT_RANDOM " + random + " " + value + "00", "CLIENT_RANDOM xy zz"} {
		if _, err := s.Write([]byte(line)); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
	s.session(make([]byte, 100))
	if s.ticket.len != 0 {
		t.Error("a session of no version has a master secret")
	}
	if s.wipe(); s != (secrets{}) {
		t.Error("secrets are left")
	}
}
