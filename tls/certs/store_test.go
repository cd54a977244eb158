package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// TestReloadParsesWhatChanged loads a directory again after one of its certificates was renewed.
func TestReloadParsesWhatChanged(t *testing.T) {
	const n = 20
	f := newFiles(t)
	ca := authority(t, nil, "ca")
	for i := range n {
		name := fmt.Sprintf("h%02d.example", i)
		f.pair(name, mint(t, ca, nil, []string{name}), ca)
	}
	s := Store{Breath: breath.New()}
	first, faults := s.LoadDir(f.dir)
	if len(first) != n || len(faults) != 0 || s.parsed != n {
		t.Fatalf("%d certificates, %d parsed, faults %v", len(first), s.parsed, faults)
	}
	for _, c := range first[1:] {
		if &c.TLS.Certificate[1][0] != &first[0].TLS.Certificate[1][0] {
			t.Fatal("the issuer's certificate is in memory more than once")
		}
	}
	f.pair("h07.example", mint(t, ca, nil, []string{"h07.example"}), ca)
	second, _ := s.LoadDir(f.dir)
	if s.parsed != n+1 {
		t.Errorf("%d certificates parsed for one that changed", s.parsed-n)
	}
	for i := range second {
		if same := first[i] == second[i]; same == (i == 7) {
			t.Errorf("certificate %d: the same is %v", i, same)
		}
	}
}

// TestReloadReadsWhatChanged loads a certificate again and again whose files change in ways that are hard to see.
func TestReloadReadsWhatChanged(t *testing.T) {
	f := newFiles(t)
	one, two := mint(t, nil, nil, []string{"one.example"}), mint(t, nil, nil, []string{"two.example"})
	cert, key := f.pair("x", one)
	clock := time.Now()
	s := Store{now: func() time.Time { return clock }}
	held := []*Certificate{must(s.Load(cert, key))(t)}
	load := func(what string, name string, read, parsed int) {
		t.Helper()
		s.read, s.parsed = 0, 0
		c := must(s.Load(cert, key))(t)
		held = append(held, c)
		if c.Names[0] != name || s.read != read || s.parsed != parsed {
			t.Errorf("%s: %v, read %d times and parsed %d times", what, c.Names, s.read, s.parsed)
		}
	}
	load("young files", "one.example", 1, 0)
	clock = clock.Add(time.Minute)
	load("old files, read when they were young", "one.example", 1, 0)
	load("old files", "one.example", 0, 0)
	written := must(os.Stat(cert))(t).ModTime()
	f.pair("x", two)
	for _, name := range []string{cert, key} {
		if err := os.Chtimes(name, written, written); err != nil {
			t.Fatal(err)
		}
	}
	clock = clock.Add(time.Minute)
	load("other files of the same age", "two.example", 1, 1)
	if err := os.Rename(key, key+"2"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(cert, key); err == nil {
		t.Error("a key that is gone is not missed")
	}
	if err := os.Rename(key+"2", key); err != nil {
		t.Fatal(err)
	}
	clock = time.Now().Add(-time.Hour)
	load("a clock that was put back", "two.example", 1, 0)
	runtime.KeepAlive(held)
}

// TestStaplesKeepTheStoresMemory drops all but a stapled copy.
func TestStaplesKeepTheStoresMemory(t *testing.T) {
	r := newResponder(t)
	f := newFiles(t)
	cert, key := f.pair("x", r.leaf, r.ca)
	var s Store
	stapled := must(must(s.Load(cert, key))(t).WithStaple(r.good(t), time.Now()))(t)
	runtime.GC()
	runtime.GC()
	if must(s.Load(cert, key))(t) != stapled.Unstapled() || s.parsed != 1 {
		t.Errorf("parsed %d times", s.parsed)
	}
	runtime.KeepAlive(stapled)
}

// TestStoreForgets holds nothing, and finds the store's memory empty.
func TestStoreForgets(t *testing.T) {
	var m memo[int, bool, [1024]byte]
	for i := range 100_000 {
		m.remember(i, false, new([1024]byte))
		if i%1000 == 0 {
			runtime.GC()
		}
	}
	if n := len(m.values); n > 10_000 {
		t.Errorf("%d values remembered that nobody holds", n)
	}
	held := new([1024]byte)
	m.remember(-1, true, held)
	runtime.GC()
	known, note := m.recall(-1)
	if unknown, _ := m.recall(-2); known != held || !note || unknown != nil {
		t.Error("a value that is held is forgotten")
	}
}

func TestLoadDir(t *testing.T) {
	f := newFiles(t)
	a, b := mint(t, nil, nil, []string{"a.example"}), mint(t, nil, nil, []string{"b.example"})
	f.pair("a", a)
	f.put("b.pem", certPEM(b))
	f.put("b.key", b.keyPEM(t))
	f.put("both.pem", certPEM(b)+b.keyPEM(t))
	f.put("keyless.crt", certPEM(a))
	f.put("wrong.crt", certPEM(a))
	f.put("wrong.key", b.keyPEM(t))
	f.put("bad.pem", "nonsense")
	f.put("bad.key", "nonsense")
	f.put("README", "nonsense")
	f.put(".hidden.crt", "nonsense")
	f.put("alone.key", a.keyPEM(t))
	if err := os.Mkdir(f.path("folder.crt"), 0o700); err != nil {
		t.Fatal(err)
	}
	var s Store
	list, errs := s.LoadDir(f.dir)
	var sources []string
	for _, c := range list {
		sources = append(sources, filepath.Base(c.Source))
	}
	if want := []string{"a.crt", "b.pem", "both.pem"}; !slices.Equal(sources, want) {
		t.Errorf("loaded %q, want %q", sources, want)
	}
	want := [][]string{
		{f.path("bad.pem"), "no PEM block"},
		{f.path("keyless.crt"), "no private key", "beside it, as keyless.key"},
		{f.path("wrong.crt"), "does not belong to the key in " + f.path("wrong.key"), "that of " + f.path("b")},
	}
	if len(errs) != len(want) {
		t.Fatalf("faults %v", errs)
	}
	for i, err := range errs {
		var fault *Fault
		if !errors.As(err, &fault) || !mentions([]string{err.Error()}, want[i]...) {
			t.Errorf("got %v, want %q", err, want[i])
		}
	}
	for dir, words := range map[string]string{f.path("none"): "does not exist", f.path("a.crt"): "as a directory"} {
		list, errs := s.LoadDir(dir)
		if len(list) > 0 || len(errs) != 1 || !mentions([]string{errs[0].Error()}, words) {
			t.Errorf("%s: %v", dir, errs)
		}
	}
}

func TestAuthorities(t *testing.T) {
	f := newFiles(t)
	one, two := authority(t, nil, "one"), authority(t, nil, "two")
	a, b := f.put("a.pem", certPEM(one)), f.put("b.pem", certPEM(two, two))
	var s Store
	pool := must(s.Authorities(a, b))(t)
	for _, ca := range []*minted{one, two} {
		leaf := mint(t, ca, nil, []string{"a.example"})
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool}); err != nil {
			t.Error(err)
		}
	}
	if must(s.Authorities(a, b))(t) != pool {
		t.Error("the same files make another pool")
	}
	f.put("b.pem", certPEM(two))
	if must(s.Authorities(a, b))(t) == pool {
		t.Error("other content makes the same pool")
	}
	for name, words := range map[string]string{
		f.path("none"): "authorities", f.put("bad.pem", "x"): "no PEM block",
		f.put("k.pem", one.keyPEM(t)): "private key", f.put("m.pem", pemText("CERTIFICATE", one.Raw[:50])): "malformed",
	} {
		if _, err := s.Authorities(a, name); err == nil || !mentions([]string{err.Error()}, name, words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Authorities(); !errors.Is(err, errNoFiles) {
		t.Errorf("no files: %v", err)
	}
}
