package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// askWith asks the admin listener at, and shows token unless it is empty.
func askWith(t *testing.T, at, path, token string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+at+path, nil)
	do(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := Client(t).Do(req)
	do(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	do(t, err)
	return res.StatusCode, string(b)
}

// With a token the process may be asked from anywhere, and tells what it does; without it, nothing.
func TestAdminWithToken(t *testing.T) {
	const first, second = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	Engines(t, func(t *testing.T, engine string) {
		addr, at := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		_, port, err := net.SplitHostPort(at)
		do(t, err)
		file := filepath.Join(t.TempDir(), "token")
		do(t, os.WriteFile(file, []byte(first), 0o600))
		p := Start(t, Config(named(t, "up"), addr)+fmt.Sprintf(unwatched+"token_file = %q\n", "0.0.0.0:"+port, file),
			"--engine", engine)
		for range 10 {
			says(t, addr, "up")
		}
		for path, open := range map[string]bool{
			"/healthz": true, "/readyz": true, "/metrics": false, "/api/config": false, "/api/metrics.json": false,
		} {
			if code, body := askWith(t, at, path, ""); (code == http.StatusOK) != open || !open && code != 401 {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
		for path, want := range map[string]string{
			"/metrics":              "uringproxy_requests_total",
			"/api/status":           `"request_seconds"`,
			"/api/config":           `{"name":"all","priority":0,"service":"all","upgrades":["websocket"]}`,
			"/api/explain?url=/a/b": `"path": "/a/b"`,
			"/api/metrics.json":     `{"name":"all","requests":10,"errors":0,`,
		} {
			if code, body := askWith(t, at, path, first); code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
		commands(t, 0, "\nall  ", "top", "--once", "--interval", "100ms", "--config", p.Config)
		commands(t, 1, "this needs a token", "status", "--admin", at)
		exchanged(t, p, at, file, first, second)
		p.Stop()
		if out := p.Output(); strings.Contains(out, first) || strings.Contains(out, second) {
			t.Error("a token is in the log")
		}
	})
}

// exchanged exchanges the token with a reload. A file that does not do leaves the old one in force.
func exchanged(t *testing.T, p *Proxy, at, file, first, second string) {
	t.Helper()
	do(t, os.Chmod(file, 0o644))
	reload := func(token string) {
		req, err := http.NewRequest("POST", "http://"+at+"/api/reload", nil)
		do(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := Client(t).Do(req)
		do(t, err)
		do(t, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			t.Errorf("reload: %d", res.StatusCode)
		}
	}
	reload(first)
	p.WaitOutput("the token of the admin listener is not read again", 1)
	do(t, os.WriteFile(file, []byte(second), 0o600))
	do(t, os.Chmod(file, 0o600))
	reload(first)
	if code, body := askWith(t, at, "/api/status", first); code != http.StatusUnauthorized {
		t.Errorf("the old token: %d %s", code, body)
	}
	commands(t, 0, "generation 3", "status", "--config", p.Config)
}

// A token that everybody can read is none, for the proxy and for check.
func TestAdminTokenForEverybody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	do(t, os.WriteFile(file, []byte(strings.Repeat("x", 32)), 0o600))
	do(t, os.Chmod(file, 0o644))
	at := FreeAddr(t, "127.0.0.1")
	asked := fmt.Sprintf(unwatched+"token_file = %q\n", at, file)
	p := Launch(t, Config(named(t, "up"), FreeAddr(t, "127.0.0.1"))+asked)
	const want = "admin.token_file: found"
	if code := p.Wait(); code != 1 || !strings.Contains(p.Output(), want) {
		t.Errorf("exit code %d\n%s", code, p.Output())
	}
	commands(t, 1, want, "check", "--config", p.Config)
	commands(t, 0, "ok:", "check", "--config", p.Config, "--offline")
	code, stdout, _ := command(t, "check", "--config", p.Config, "--format", "json")
	var found struct {
		Faults []struct{ Key string }
	}
	do(t, json.Unmarshal([]byte(stdout), &found))
	if code != 1 || len(found.Faults) != 1 || found.Faults[0].Key != "admin.token_file" {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}
