package certs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// named makes certificates that a set can be made of, without keys: tests of sets need thousands.
func named(source string, kind Kind, from, to time.Duration, names ...string) *Certificate {
	c := &Certificate{Names: names, Source: source, Kind: kind,
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)}
	c.TLS.Certificate = [][]byte{[]byte(source)}
	return c
}

func TestFind(t *testing.T) {
	exact := named("exact", ECDSA, -day, day, "a.example.com", "192.0.2.1", "2001:db8::1", "single")
	wild := named("wild", ECDSA, -day, day, "*.example.com", "*.deep.example.com", "*.0.2.1")
	s := NewSet([]*Certificate{exact, wild, exact}, nil)
	for name, want := range map[string]*Certificate{
		"a.example.com": exact, "b.example.com": wild, "example.com": nil, "a.b.example.com": nil,
		"x.deep.example.com": wild, "deep.example.com": wild, ".example.com": nil, "": nil, ".": nil, "com": nil,
		"192.0.2.1": exact, "2001:db8::1": exact, "192.0.2.2": nil, "single": exact, "x.single": nil,
		"A.example.com": wild, "a.example.com.": nil, "*.example.com": wild, "a.example.co": nil,
	} {
		e, ok := s.Find([]byte(name))
		if e.First() != want || ok != (want != nil) {
			t.Errorf("%q: found %+v, %v", name, e.First(), ok)
		}
	}
	if got := slices.Collect(s.All()); !slices.Equal(got, []*Certificate{exact, wild}) {
		t.Errorf("all: %v", got)
	}
	if certificates, names := s.Len(); certificates != 2 || names != 7 || s.Warnings() != nil {
		t.Errorf("%d certificates, %d names, warnings %q", certificates, names, s.Warnings())
	}
	if _, ok := s.Default(); ok {
		t.Error("there is a default that nobody asked for")
	}
	if _, ok := NewSet(nil, nil).Find([]byte("a.example")); ok {
		t.Error("an empty set has something")
	}
}

// TestFindLikeAScan compares Find with a search that tries all certificates.
func TestFindLikeAScan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	name := func() string {
		labels := make([]string, 1+random.IntN(4))
		for i := range labels {
			labels[i] = string(rune('a' + random.IntN(3)))
		}
		return strings.Join(labels, ".")
	}
	for round := range 300 {
		var list []*Certificate
		for i := range random.IntN(40) {
			var names []string
			for range random.IntN(4) {
				n := name()
				if random.IntN(3) == 0 {
					n = "*." + n
				}
				if !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
			life := time.Duration(1+i) * day // all different, so that there is one winner
			list = append(list, named(fmt.Sprint(i), Kind(random.IntN(int(kinds))), -day, life, names...))
		}
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		s := NewSet(list, nil)
		for range 100 {
			asked := name()
			if got, _ := s.Find([]byte(asked)); got != scan(list, asked) {
				t.Fatalf("round %d: %q: found %v, want %v", round, asked, got, scan(list, asked))
			}
		}
	}
}

// scan is what Find should find.
func scan(list []*Certificate, asked string) Entry {
	e := pick(list, asked)
	if _, rest, ok := strings.Cut(asked, "."); ok && e == (Entry{}) {
		e = pick(list, "*."+rest)
	}
	return e
}

func pick(list []*Certificate, name string) (e Entry) {
	for _, c := range list {
		if slices.Contains(c.Names, name) && (e.by[c.Kind] == nil || c.NotAfter.After(e.by[c.Kind].NotAfter)) {
			e.by[c.Kind] = c
		}
	}
	return e
}

func TestTheLaterExpiringWins(t *testing.T) {
	older := named("older.pem", ECDSA, -day, 10*day, "a.example", "b.example", "*.c.example")
	newer := named("newer.pem", ECDSA, -day, 20*day, "a.example", "b.example", "*.c.example")
	future := named("future.pem", ECDSA, day, 30*day, "a.example")
	rsa := named("rsa.pem", RSA, -day, 5*day, "a.example")
	copied := named("older.pem", ECDSA, -day, 10*day, "a.example")
	copied.Source = "copy.pem"
	for _, list := range [][]*Certificate{{older, newer, future, rsa}, {rsa, future, newer, older}} {
		s := NewSet(list, nil)
		e, _ := s.Find([]byte("a.example"))
		if e != (Entry{[kinds]*Certificate{ECDSA: newer, RSA: rsa}}) {
			t.Errorf("entry %v", e)
		}
		w := s.Warnings()
		if len(w) != 2 || !mentions(w, "future.pem", "for a.example: newer.pem") ||
			!mentions(w, "older.pem (ECDSA, until", "and 2 other names: newer.pem") {
			t.Errorf("warnings %q", w)
		}
	}
	if w := NewSet([]*Certificate{older, copied}, nil).Warnings(); len(w) > 0 {
		t.Errorf("the same certificate twice: warnings %q", w)
	}
	if w := NewSet([]*Certificate{
		named("y", RSA, -day, day, "*.c.example"), named("x", RSA, -day, 2*day, "*.c.example"),
	}, nil).Warnings(); len(w) != 1 || !mentions(w, "certificate y", "for *.c.example:") {
		t.Errorf("wildcard: %q", w)
	}
}

func TestDefault(t *testing.T) {
	ec, rsa := named("ec", ECDSA, -day, day, "a.example"), named("rsa", RSA, -day, day, "a.example")
	other := named("other", ECDSA, -day, day, "b.example")
	for _, c := range []struct {
		list     []*Certificate
		fallback *Certificate
		want     Entry
		all      int
	}{
		{[]*Certificate{ec, rsa, other}, rsa, Entry{[kinds]*Certificate{ECDSA: ec, RSA: rsa}}, 3},
		{[]*Certificate{ec, rsa}, other, Entry{[kinds]*Certificate{ECDSA: other}}, 3},
		{nil, other, Entry{[kinds]*Certificate{ECDSA: other}}, 1},
		{nil, named("nameless", RSA, -day, day), Entry{}, 1},
	} {
		s := NewSet(c.list, c.fallback)
		if c.want == (Entry{}) {
			c.want.by[c.fallback.Kind] = c.fallback
		}
		if e, ok := s.Default(); e != c.want || !ok {
			t.Errorf("default %v, want %v", e, c.want)
		}
		if n, _ := s.Len(); n != c.all {
			t.Errorf("%d certificates, want %d", n, c.all)
		}
	}
}

// TestFindAllocatesNothing floods a set with names that it does not have.
func TestFindAllocatesNothing(t *testing.T) {
	s := NewSet([]*Certificate{named("x", ECDSA, -day, day, "a.example", "*.b.example")}, nil)
	for _, text := range []string{"a.example", "x.b.example", "nobody.example", "nobody", ""} {
		name := []byte(text)
		if n := testing.AllocsPerRun(100, func() { s.Find(name) }); n != 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
	name := []byte("00000000.flood.example")
	i := uint64(0)
	if n := testing.AllocsPerRun(10_000, func() {
		for at := range 8 {
			name[at] = 'a' + byte(i>>(4*at)&15)
		}
		i++
		if _, ok := s.Find(name); ok {
			t.Fatal("found")
		}
	}); n != 0 {
		t.Errorf("a flood of names: %v allocations each", n)
	}
}

// TestSetsShare makes two sets of one list, and finds what they hold to be the list's.
func TestSetsShare(t *testing.T) {
	list := []*Certificate{named("x", ECDSA, -day, day, "a.example")}
	s := Store{Breath: breath.New()}
	one, two := NewSet(list, nil), s.Set(list, nil)
	x, _ := one.Find([]byte("a.example"))
	y, _ := two.Find([]byte("a.example"))
	if x.First() != y.First() || x.First() != list[0] {
		t.Error("a set has copied a certificate")
	}
}

// FuzzFind looks names up that nobody would ask for, beside a scan of all certificates.
func FuzzFind(f *testing.F) {
	list := []*Certificate{
		named("1", ECDSA, -day, day, "a.example", "b.example", "192.0.2.1"),
		named("2", RSA, -day, day, "*.example", "a.example", "*.b.example"),
	}
	s := NewSet(list, nil)
	for _, seed := range []string{
		"a.example", "x.example", ".example", "*.example", "x.b.example", "", "..", "a.example\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		before := bytes.Clone(name)
		got, ok := s.Find(name)
		want := scan(list, string(name))
		if len(name) == 0 || name[0] == '.' || bytes.HasPrefix(name, []byte("*.")) {
			return // no host name, and whoever asks for it may be answered by the wildcard
		}
		if got != want || ok != (want != Entry{}) || !bytes.Equal(name, before) {
			t.Errorf("%q: found %v, want %v", name, got, want)
		}
	})
}
