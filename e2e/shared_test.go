package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// What tests in several files use.

// do ends the test when something that it needs did not work.
func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// limited starts a proxy with one shard before up. tables are what its configuration has beyond the least.
func limited(t *testing.T, engine, up, tables string) (*Proxy, string) {
	addr := FreeAddr(t, "127.0.0.1")
	return Start(t, Config(up, addr)+tables, "--engine", engine, "--shards", "1"), addr
}

// hello is an nginx that answers at once: for requests without a body, which it would not read before it answers.
func hello(t *testing.T) *Server {
	return Nginx(t, `location / { return 200 "hello\n"; }`)
}

// named is an upstream that answers with its name.
func named(t *testing.T, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, name) // the client may have gone
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// get makes a request with header fields, given as names and values in turn.
func get(t *testing.T, client *http.Client, method, url string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// says asks on a connection of its own, and checks who answers.
func says(t *testing.T, addr, want string) {
	t.Helper()
	w := Raw(t, addr)
	w.Send(Request("GET", "/", "x.test", ""))
	if res := w.ReadResponse("GET"); res.Text != want {
		t.Errorf("%d %q, want %q", res.StatusCode, res.Text, want)
	}
	w.Close()
}

// askRaw makes a request on w and checks the response.
func askRaw(t *testing.T, w *Wire) {
	t.Helper()
	w.Send(Request("GET", "/raw", "x.test", ""))
	if res := w.ReadResponse("GET"); res.Header.Get("X-Sum") != SumText("GET", "/raw", "") {
		t.Fatalf("%d %q", res.StatusCode, res.Text)
	}
}

// command runs uringproxy with args to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := exec.Command(Build(t), args...)
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run() // the exit code tells
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// commands expects a code, and a text on the stream that goes with it.
func commands(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, stdout, stderr := command(t, args...)
	if got != code || !strings.Contains(stdout+stderr, want) {
		t.Errorf("%q: exit code %d, want %d and %q\n%s%s", args, got, code, want, stdout, stderr)
	}
}
