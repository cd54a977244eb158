package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unwatched keeps the file from being read unasked.
const unwatched = "[reload]\nwatch = false\n[admin]\naddress = %q\n"

func TestReloadAndStatus(t *testing.T) {
	for name, address := range map[string]func(t *testing.T) string{
		"tcp":  func(t *testing.T) string { return FreeAddr(t, "127.0.0.1") },
		"unix": func(t *testing.T) string { return "unix:" + filepath.Join(t.TempDir(), "admin.sock") },
	} {
		t.Run(name, func(t *testing.T) {
			Engines(t, func(t *testing.T, engine string) {
				addr, at := FreeAddr(t, "127.0.0.1"), address(t)
				config := func(name string) string { return Config(named(t, name), addr) + fmt.Sprintf(unwatched, at) }
				p := Start(t, config("first"), "--engine", engine)
				commands(t, 0, "reloads    none\n", "status", "--config", p.Config)
				says(t, addr, "first")
				p.Replace(config("second"))
				says(t, addr, "first")
				live := "generation 2 of " + p.Config + ", 1 listener, 1 route, 1 service\n"
				commands(t, 0, live, "reload", "--config", p.Config)
				says(t, addr, "second")
				commands(t, 0, "the last one done", "status", "--admin", at)
				p.Replace(strings.Replace(config("third"), "service =", "servise =", 1))
				for range 2 {
					commands(t, 1, ":4:1: routes.all.servise: found an unknown key", "reload", "--admin", at)
				}
				commands(t, 1, "generation 2 goes on serving", "status", "--admin", at)
				commands(t, 1, "    4 | servise = \"all\"\n      | ^\n", "status", "--admin", at)
				says(t, addr, "second")
				p.Replace(config("fourth"))
				commands(t, 0, "generation 3", "reload", "--admin", at)
				commands(t, 0, engine, "status", "--config", p.Config)
				says(t, addr, "fourth")
				p.Stop()
				commands(t, 1, "is uringproxy running?", "status", "--config", p.Config)
			})
		})
	}
}

// A listener that cannot be opened refuses the reload at its address, and nothing else of the file is taken.
func TestReloadOfTakenAddress(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		addr, at := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		do(t, err)
		defer taken.Close()
		admin := fmt.Sprintf(unwatched, at)
		p := Start(t, Config(named(t, "first"), addr)+admin, "--engine", engine)
		both := Config(named(t, "second"), addr, taken.Addr().String()) + admin
		p.Replace(both)
		commands(t, 1, p.Config+":4:11: listeners.l1.address: found", "reload", "--admin", at)
		says(t, addr, "first")
		do(t, taken.Close())
		commands(t, 0, "2 listeners", "reload", "--admin", at)
		says(t, addr, "second")
		says(t, taken.Addr().String(), "second")
		p.Stop()
	})
}

// askAdmin asks the admin listener at.
func askAdmin(t *testing.T, at, path string) (code int, body string) {
	t.Helper()
	res, err := Client(t).Get("http://" + at + path)
	do(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	do(t, err)
	return res.StatusCode, string(b)
}

// While the proxy drains, its admin listener answers, and says so.
func TestAdminWhileDraining(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		at := FreeAddr(t, "127.0.0.1")
		p := holdRequest(t, engine, fmt.Sprintf(unwatched, at))
		if code, body := askAdmin(t, at, "/readyz"); code != http.StatusOK {
			t.Errorf("ready: %d %s", code, body)
		}
		p.Signal(syscall.SIGTERM)
		p.WaitOutput(drains, 1)
		if code, body := askAdmin(t, at, "/readyz"); code != http.StatusServiceUnavailable {
			t.Errorf("draining: %d %s", code, body)
		}
		if code, body := askAdmin(t, at, "/healthz"); code != http.StatusOK {
			t.Errorf("draining: %d %s", code, body)
		}
		commands(t, 0, "draining for", "status", "--admin", at)
		commands(t, 1, "the process is shutting down", "reload", "--admin", at)
		p.answer <- struct{}{}
		if res := p.client.ReadResponse("GET"); res.Text != "answer" {
			t.Errorf("%d %q", res.StatusCode, res.Text)
		}
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// A running request keeps its snapshot, which the status shows.
func TestSnapshotsInUse(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		at := FreeAddr(t, "127.0.0.1")
		p := holdRequest(t, engine, fmt.Sprintf(unwatched, at))
		inUse := func() (sum int) {
			_, body := askAdmin(t, at, "/api/status")
			var s struct {
				Traffic struct {
					InUse []int `json:"snapshots_in_use"`
				}
			}
			do(t, json.Unmarshal([]byte(body), &s))
			for _, n := range s.Traffic.InUse {
				sum += n - 1
			}
			return sum
		}
		if n := inUse(); n != 0 {
			t.Errorf("%d old snapshots at the start", n)
		}
		for range 3 {
			commands(t, 0, "reloaded", "reload", "--admin", at)
		}
		if n := inUse(); n != 1 {
			t.Errorf("%d old snapshots for one request", n)
		}
		p.answer <- struct{}{}
		if res := p.client.ReadResponse("GET"); res.Text != "answer" {
			t.Errorf("%d %q", res.StatusCode, res.Text)
		}
		// The client has its answer a moment before the shard knows that it was sent.
		for end := time.Now().Add(hang); inUse() != 0; {
			if time.Now().After(end) {
				t.Fatal("an old snapshot is never let go")
			}
		}
		p.Stop()
	})
}

// An admin address that is taken matters only to who has asked for it.
func TestAdminAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	do(t, err)
	defer taken.Close()
	up, addr := named(t, "up"), FreeAddr(t, "127.0.0.1")
	p := Launch(t, Config(up, addr)+fmt.Sprintf(unwatched, taken.Addr()))
	if code := p.Wait(); code != 1 || !strings.Contains(p.Output(), "another process listens there") {
		t.Errorf("exit code %d", code)
	}
	if l, err := net.Listen("tcp", "127.0.0.1:9901"); err == nil { // else somebody has it, which is as good
		defer l.Close()
	}
	p = Start(t, Config(up, addr))
	p.WaitOutput("no admin listener", 1)
	says(t, addr, "up")
	p.Stop()
}
