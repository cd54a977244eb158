package watch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// hang is how long anything may take before it counts as hanging.
const hang = 30 * time.Second

// tree is a directory in which a test plays editor and deployment.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) tree { return tree{t, t.TempDir()} }

func (tr tree) path(name string) string { return filepath.Join(tr.dir, name) }

func (tr tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) write(name, text string) {
	tr.t.Helper()
	tr.must(os.MkdirAll(filepath.Dir(tr.path(name)), 0o700))
	tr.must(os.WriteFile(tr.path(name), []byte(text), 0o600))
}

func (tr tree) rename(from, to string) {
	tr.t.Helper()
	tr.must(os.Rename(tr.path(from), tr.path(to)))
}

// link makes name a symbolic link, replacing another at once as "ln -sfn" and the kubelet do.
func (tr tree) link(target, name string) {
	tr.t.Helper()
	tr.must(os.MkdirAll(filepath.Dir(tr.path(name)), 0o700))
	tr.must(os.Symlink(target, tr.path(name+".tmp")))
	tr.rename(name+".tmp", name)
}

func (tr tree) remove(name string) {
	tr.t.Helper()
	tr.must(os.RemoveAll(tr.path(name)))
}

// seen is what a process reads at paths, as far as the test looks.
func seen(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "-"
	}
	return string(b)
}

// observe runs the real watcher on paths; wait returns when a call of Changed has read text at path.
func observe(t *testing.T, path string, paths ...string) (wait func(text string)) {
	return observeWith(t, Options{Paths: paths}, path)
}

// observeWith is observe for what o watches.
func observeWith(t *testing.T, o Options, path string) (wait func(text string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, done := make(chan string, 1000), make(chan struct{})
	o.Log, o.Changed = slog.New(slog.DiscardHandler), func() { read <- seen(path) }
	go func() {
		defer close(done)
		Run(ctx, o)
	}()
	t.Cleanup(func() { cancel(); <-done })
	wait = func(text string) {
		t.Helper()
		limit := time.After(hang)
		for {
			select {
			case got := <-read:
				if got == text {
					return
				}
			case <-limit:
				t.Fatalf("nobody was told of %q", text)
			}
		}
	}
	wait(seen(path))
	return wait
}

func TestFile(t *testing.T) {
	tr := newTree(t)
	tr.write("etc/my.toml", "1")
	file := tr.path("etc/my.toml")
	wait := observe(t, file, file)
	tr.write("etc/my.toml", "edited in place")
	wait("edited in place")
	tr.write("etc/my.toml.new", "renamed over")
	tr.rename("etc/my.toml.new", "etc/my.toml")
	wait("renamed over")
	tr.write("etc/my.toml", "and again")
	wait("and again")
	tr.remove("etc/my.toml")
	wait("-")
	tr.write("etc/my.toml", "back")
	wait("back")
	tr.rename("etc", "gone")
	wait("-")
	tr.write("etc/my.toml", "another directory")
	wait("another directory")
	tr.remove("etc")
	wait("-")
	tr.rename("gone", "etc")
	wait("back")
}

// A mounted ConfigMap: the file is a link to a directory's entry, and that directory a link which is replaced.
func TestKubernetes(t *testing.T) {
	tr := newTree(t)
	tr.write("etc/..1/my.toml", "1")
	tr.link("..1", "etc/..data")
	tr.link("..data/my.toml", "etc/my.toml")
	file := tr.path("etc/my.toml")
	for name, given := range map[string]string{"file": file, "directory": tr.path("etc")} {
		t.Run(name, func(t *testing.T) {
			wait := observe(t, file, given)
			tr.write("etc/..2/my.toml", name+" 2")
			tr.link("..2", "etc/..data")
			tr.remove("etc/..1")
			wait(name + " 2")
			tr.write("etc/..1/my.toml", name+" 3")
			tr.link("..1", "etc/..data")
			tr.remove("etc/..2")
			wait(name + " 3")
		})
	}
}

// A release directory behind a link, and the target of a link to a file.
func TestLinks(t *testing.T) {
	tr := newTree(t)
	tr.write("releases/1/my.toml", "1")
	tr.write("releases/2/my.toml", "2")
	tr.link("releases/1", "current")
	tr.link("../current/my.toml", "etc/my.toml")
	file := tr.path("etc/my.toml")
	wait := observe(t, file, file)
	tr.link("releases/2", "current")
	wait("2")
	tr.write("releases/2/my.toml", "2, edited")
	wait("2, edited")
	tr.link(tr.path("releases/1/my.toml"), "etc/my.toml")
	wait("1")
	tr.write("releases/1/my.toml", "1, edited")
	wait("1, edited")
}

func TestDirectory(t *testing.T) {
	tr := newTree(t)
	conf := tr.path("conf.d")
	wait := observe(t, filepath.Join(conf, "b.toml"), conf)
	tr.write("conf.d/a.toml", "1")
	tr.write("conf.d/b.toml", "2")
	wait("2")
	tr.write("elsewhere/b.toml", "linked")
	tr.link("../elsewhere/b.toml", "conf.d/b.toml")
	wait("linked")
	tr.write("elsewhere/b.toml", "linked and edited")
	wait("linked and edited")
	tr.remove("conf.d/b.toml")
	wait("-")
}

func TestPlaces(t *testing.T) {
	tr := newTree(t)
	tr.write("d/a.toml", "")
	tr.write("d/.a.toml.swp.toml", "")
	tr.write("d/a.txt", "")
	tr.link("loop", "loop")
	p := places{}
	p.find([]string{tr.path("d"), tr.path("loop"), tr.path("missing/deep/my.toml"), tr.path("d/../d/a.toml/")},
		configuration)
	for name, want := range map[string]bool{
		"d/a.toml": true, "d/new.toml": true, "d": true, "loop": true, "missing": true,
		"d/.a.toml.swp.toml": false, "d/a.txt": false, "missing/deep": false, "other": false,
	} {
		if p.concern(tr.path(name)) != want {
			t.Errorf("%s counts: %v", name, !want)
		}
	}
	if len(p) != 2 {
		t.Errorf("%d directories", len(p))
	}
	before := p.state()
	tr.write("d/a.txt", "changed")
	if p.state() != before {
		t.Error("a file that does not count has changed the state")
	}
	tr.write("d/a.toml", "changed")
	if p.state() == before {
		t.Error("the state is as before")
	}
}
