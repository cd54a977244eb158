package watch

import (
	"fmt"
	"os"
	"testing"
)

// observeMaterial is observe, for files that a configuration names.
func observeMaterial(t *testing.T, path string, material ...string) (wait func(text string)) {
	t.Helper()
	return observeWith(t, Options{Material: func() []string { return material }}, path)
}

// A mounted secret: a directory of links that change together, because another link is pointed elsewhere.
func TestSecretOfKubernetes(t *testing.T) {
	tr := newTree(t)
	tr.write("tls/..1/tls.crt", "first")
	tr.link("..1", "tls/..data")
	tr.link("..data/tls.crt", "tls/tls.crt")
	for _, material := range []string{"tls", "tls/tls.crt"} {
		t.Run(material, func(t *testing.T) {
			tr.link("..1", "tls/..data")
			wait := observeMaterial(t, tr.path("tls/tls.crt"), tr.path(material))
			tr.write("tls/..2/tls.crt", "second")
			tr.link("..2", "tls/..data")
			wait("second")
		})
	}
}

// What certbot does: the live directory has links to files of which there is a new one for every renewal.
func TestLinksOfCertbot(t *testing.T) {
	tr := newTree(t)
	tr.write("archive/a.test/fullchain1.pem", "first")
	tr.link("../../archive/a.test/fullchain1.pem", "live/a.test/fullchain.pem")
	wait := observeMaterial(t, tr.path("live/a.test/fullchain.pem"), tr.path("live/a.test/fullchain.pem"))
	tr.write("archive/a.test/fullchain2.pem", "second")
	tr.link("../../archive/a.test/fullchain2.pem", "live/a.test/fullchain.pem")
	wait("second")
	tr.write("archive/a.test/fullchain2.pem", "in place")
	wait("in place")
}

func TestDirectoryOfCertificates(t *testing.T) {
	tr := newTree(t)
	tr.write("certs/a.crt", "1")
	p := places{}
	p.find([]string{tr.path("certs")}, material)
	for name, want := range map[string]bool{
		"certs/a.crt": true, "certs/new.pem": true, "certs/new.key": true, "certs/a.toml": false,
		"certs/.a.crt": false, "certs/README": false,
	} {
		if p.concern(tr.path(name)) != want {
			t.Errorf("%s counts: %v", name, !want)
		}
	}
	before := p.state()
	tr.write("certs/a.crt", "changed")
	if p.state() == before {
		t.Error("the state is as before")
	}
}

// Of a large directory only its own state is looked at, whatever the number of files.
func TestLargeDirectory(t *testing.T) {
	tr := newTree(t)
	tr.must(os.Mkdir(tr.path("certs"), 0o700))
	for i := range maxFollowed + 1 {
		tr.write(fmt.Sprintf("certs/%d.crt", i), "1")
	}
	p := places{}
	p.find([]string{tr.path("certs")}, material)
	if names := len(p[tr.path("certs")].names); names != 0 || !p.concern(tr.path("certs/7.crt")) {
		t.Errorf("%d names are looked at", names)
	}
	before := p.state()
	tr.write("certs/new.crt", "1")
	if p.state() == before {
		t.Error("the state is as before")
	}
}
