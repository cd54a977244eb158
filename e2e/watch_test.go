package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// byWatch is in the log of each attempt that a change of files made.
const byWatch = "trigger=watch"

// The file is edited, replaced, removed, put back, broken and repaired, and nobody says a word to the proxy.
func TestWatchFile(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		addr, kept := FreeAddr(t, "127.0.0.1"), ""
		config := func(name string) string { return Config(named(t, name), addr) + "[admin]\naddress = \"off\"\n" }
		p := Start(t, config("first"), "--engine", engine)
		good, bad := 0, 0
		reads := func(want string) {
			t.Helper()
			good++
			p.WaitOutput(reloaded+" "+byWatch, good)
			says(t, addr, want)
			kept = want
		}
		refuses := func() {
			t.Helper()
			bad++
			p.WaitOutput(notReloaded, bad)
			says(t, addr, kept)
		}
		says(t, addr, "first")
		do(t, os.WriteFile(p.Config, []byte(config("edited in place")), 0o600))
		reads("edited in place")
		p.Replace(config("renamed over"))
		reads("renamed over")
		do(t, os.Remove(p.Config))
		refuses()
		do(t, os.WriteFile(p.Config, []byte(config("back")), 0o600))
		reads("back")
		p.Replace("this is [no TOML")
		refuses()
		p.Replace(config("repaired"))
		reads("repaired")
		p.Stop()
		if n := strings.Count(p.Output(), "configuration reloaded"); n != good {
			t.Errorf("reloaded %d times, not %d", n, good)
		}
	})
}

// A mounted ConfigMap beside a file: what counts is that its link is pointed elsewhere.
func TestWatchConfigMap(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		addr, dir := FreeAddr(t, "127.0.0.1"), t.TempDir()
		put := func(version, name string) {
			t.Helper()
			do(t, os.Mkdir(filepath.Join(dir, version), 0o700))
			text := "[services.all]\nendpoints = [\"" + named(t, name) + "\"]\n"
			do(t, os.WriteFile(filepath.Join(dir, version, "services.toml"), []byte(text), 0o600))
			do(t, os.Symlink(version, filepath.Join(dir, "..next")))
			do(t, os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")))
		}
		put("..1", "first")
		do(t, os.Symlink("..data/services.toml", filepath.Join(dir, "services.toml")))
		rest, _, _ := strings.Cut(Config("unix:/none", addr), "[services.all]")
		p := Start(t, rest, "--engine", engine, "--config", dir)
		says(t, addr, "first")
		put("..2", "second")
		do(t, os.RemoveAll(filepath.Join(dir, "..1")))
		p.WaitOutput(reloaded+" "+byWatch, 1)
		says(t, addr, "second")
		p.Stop()
	})
}
