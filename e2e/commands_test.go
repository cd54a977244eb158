package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands that end by themselves, with their exit codes. Errors are on stderr, everything else on stdout.
func TestCommands(t *testing.T) {
	faulty := filepath.Join(t.TempDir(), "faulty.toml")
	if err := os.WriteFile(faulty, []byte("[listeners.web]\naddress = \"8080\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"version"}, 0, "uringproxy ", ""},
		{[]string{"help"}, 0, "doctor", ""},
		{[]string{"help", "run"}, 0, "--config", ""},
		{[]string{"doctor"}, 0, "io_uring", ""},
		{[]string{"check", "--config", "../examples/minimal.toml"}, 0, "ok: 1 listener", ""},
		{[]string{"check", "--config", faulty}, 1, "", faulty + ":2:11: listeners.web.address"},
		{[]string{"run", "--config", faulty}, 1, "", faulty + ":2:11: listeners.web.address"},
		{[]string{"run", "--confg", faulty}, 2, "", "did you mean"},
		{[]string{"rnu"}, 2, "", `did you mean "run"?`},
		{nil, 2, "", "Commands"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(Build(t), tt.args...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run() // the exit code tells
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) ||
				(tt.stdout == "") != (stdout.Len() == 0) || (tt.stderr == "") != (stderr.Len() == 0) {
				t.Errorf("stdout\n%s\nstderr\n%s", &stdout, &stderr)
			}
		})
	}
}

// A listener whose address is taken: said so, with advice.
func TestAddressTaken(t *testing.T) {
	up := NewChecking(t)
	p := Launch(t, Config(up.URL, up.Listener.Addr().String()))
	if code := p.Wait(); code != 1 || !strings.Contains(p.Output(), "another process listens there") {
		t.Errorf("exit code %d", code)
	}
}

var (
	portsInExamples = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):(\d+)`)
	pathsInExamples = regexp.MustCompile(`unix:/tmp/([a-z-]+\.sock)`)
	hostsInExamples = regexp.MustCompile(`(?m)^host = \["([^"]+)"`)
	certsInExamples = "/tmp/uringproxy-certs"
	pathInExamples  = regexp.MustCompile(`(?m)^path_prefix = "([^"]+)"`)
)

// Every example starts and proxies, with its addresses replaced by free ones.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find examples: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			if strings.Contains(text, "[::1]") && !HaveIPv6() {
				t.Skip("no IPv6 on this machine")
			}
			if strings.Contains(text, certsInExamples) || strings.Contains(text, "\nprotocol = ") {
				startExample(t, text)
				return
			}
			runExample(t, text)
		})
	}
}

// checkingAt starts a checking upstream on a unix socket.
func checkingAt(t *testing.T, path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(check))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

// startExample replaces the addresses and the certificates of an example that does not speak HTTP alone, and looks
// whether it starts.
func startExample(t *testing.T, text string) {
	ca, dir, replaced := NewAuthority(t, "ca"), t.TempDir(), map[string]string{}
	for _, name := range []string{"site", "partner", "app"} {
		id := ca.Issue([]string{"example.com", "api.example.com", "app.internal"})
		for from, to := range map[string]string{id.Cert: name + ".crt", id.Key: name + ".key"} {
			if err := os.Rename(from, filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	text = portsInExamples.ReplaceAllStringFunc(text, func(addr string) string {
		if replaced[addr] == "" {
			replaced[addr] = FreeAddr(t, "127.0.0.1")
		}
		return replaced[addr]
	})
	p := Start(t, strings.ReplaceAll(text, certsInExamples, dir))
	p.Stop()
}

// runExample replaces the addresses that the example listens on by free ones, and each upstream by one of ours, and
// asks at each of the former.
func runExample(t *testing.T, text string) {
	dir, fronts, replaced := t.TempDir(), []string(nil), map[string]string{}
	text = portsInExamples.ReplaceAllStringFunc(text, func(addr string) string {
		host, listens := strings.CutSuffix(addr, ":8080")
		switch {
		case replaced[addr] != "":
		case listens:
			replaced[addr] = FreeAddr(t, strings.Trim(host, "[]"))
			fronts = append(fronts, replaced[addr])
		default:
			replaced[addr] = NewChecking(t).Listener.Addr().String()
		}
		return replaced[addr]
	})
	text = pathsInExamples.ReplaceAllStringFunc(text, func(addr string) string {
		name := pathsInExamples.FindStringSubmatch(addr)[1]
		path := filepath.Join(dir, name)
		if replaced[addr] == "" {
			replaced[addr] = "unix:" + path
			if strings.HasPrefix(name, "uringproxy-") {
				fronts = append(fronts, replaced[addr])
			} else {
				checkingAt(t, path)
			}
		}
		return replaced[addr]
	})
	p := Start(t, text)
	host, path := "x.test", "/"
	if m := hostsInExamples.FindStringSubmatch(text); m != nil {
		host = m[1]
	} else if m := pathInExamples.FindStringSubmatch(text); m != nil {
		path = m[1] + "/"
	}
	for _, addr := range fronts {
		for i := range 5 {
			target := fmt.Sprint(path, i)
			w := Raw(t, addr)
			w.Send(Request("GET", target, host, ""))
			if res := w.ReadResponse("GET"); res.Header.Get("X-Sum") != SumText("GET", target, "") {
				t.Errorf("%s at %s: %d %q", target, addr, res.StatusCode, res.Text)
			}
			w.Close()
		}
	}
	if fronts == nil {
		t.Error("nothing was asked")
	}
	p.Stop()
}
