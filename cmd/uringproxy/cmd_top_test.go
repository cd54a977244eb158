package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/admin"
)

// topOn runs top on a terminal with a made up process.
func topOn(t *testing.T, columns, lines uint16, env ...string) (*session, *made) {
	t.Helper()
	m := &made{}
	s := startOn(t, columns, lines, env, "top", "--interval", "100ms", "--admin", serve(t, m))
	s.sees(otherScreen)
	s.sees("uringproxy v1.2.3, process 77")
	return s, m
}

func TestTopDrawsAndQuits(t *testing.T) {
	s, _ := topOn(t, 120, 24)
	if s.settings().Lflag&(unix.ICANON|unix.ECHO) != 0 {
		t.Error("keys are echoed, or wait for the end of a line")
	}
	s.sees("1,000/s, 2.00 errors/s, 3 running")
	s.sees("proxy 7.00µs a request: routing 300ns, TLS 900ns, rest 5.80µs; upstream 853µs")
	s.sees("app2")
	s.sees("q quit   s sort, by requests")
	s.types("s")
	s.sees("s sort, by errors")
	s.sees("app0")
	s.types("sss")
	s.sees("s sort, by requests")
	s.types("p")
	s.sees("PAUSED")
	s.types("p q")
	s.ends(0)
}

// However it ends, the terminal is as it was.
func TestTopRestoresTerminal(t *testing.T) {
	for name, end := range map[string]func(s *session){
		"ctrl-C":  func(s *session) { s.types("\x03") },
		"ctrl-\\": func(s *session) { s.types("\x1c") },
		"ctrl-D":  func(s *session) { s.types("\x04") },
		"SIGTERM": func(s *session) { _ = s.cmd.Process.Signal(unix.SIGTERM) },
		"SIGHUP":  func(s *session) { _ = s.cmd.Process.Signal(unix.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := topOn(t, 80, 24)
			end(s)
			s.ends(0)
		})
	}
}

func TestPanicsRestoreTerminal(t *testing.T) {
	for _, how := range []string{"panic", "panic beside"} {
		t.Run(how, func(t *testing.T) {
			s := startOn(t, 80, 24, nil, how)
			s.sees(otherScreen)
			_ = s.cmd.Wait() // the exit code tells
			if code := s.cmd.ProcessState.ExitCode(); code != 2 {
				t.Errorf("exit code %d", code)
			}
			s.restored()
			s.sees("made by a test")
		})
	}
}

func TestTopIsSuspended(t *testing.T) {
	s, _ := topOn(t, 80, 24)
	s.types("\x1a")
	var status unix.WaitStatus
	if _, err := unix.Wait4(s.cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%v, %v", status, err)
	}
	s.restored()
	if err := s.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.sees(otherScreen)
	s.sees("1,000/s")
	s.types("q")
	s.ends(0)
}

// Nothing is written beyond the edges, whatever the size.
func TestTopFollowsSize(t *testing.T) {
	s, _ := topOn(t, 200, 50)
	s.sees("MEAN")
	for _, size := range [][2]uint16{{80, 24}, {40, 10}, {1, 1}, {7, 2}, {300, 100}} {
		s.resize(size[0], size[1])
		s.sees(clearBelow) // it may have been drawn before
		for range 2 {
			s.sees(home)
			lines := strings.Split(s.sees(clearBelow), "\r\n")
			if len(lines) > int(size[1]) {
				t.Errorf("%v: %d lines", size, len(lines))
			}
			for _, line := range lines {
				drop := strings.NewReplacer("\r", "", clearLine, "", "\x1b[1m", "", "\x1b[31m", "", "\x1b[0m", "")
				plain := drop.Replace(line)
				if n := len([]rune(plain)); n > int(size[0]) {
					t.Errorf("%v: a line of %d columns: %q", size, n, plain)
				}
			}
		}
	}
	s.types("q")
	s.ends(0)
}

// A process that goes away is missed, and its successor is found.
func TestTopReconnects(t *testing.T) {
	at := "unix:" + filepath.Join(t.TempDir(), "admin.sock")
	_, stop := answerAt(t, &made{}, at, "")
	s := startOn(t, 120, 30, nil, "top", "--interval", "100ms", "--admin", at)
	s.sees("1,000/s")
	stop()
	s.sees("admin.sock: no such file or directory; trying again every 100ms")
	next := &made{}
	next.pid.Store(11)
	_, stop = answerAt(t, next, at, "")
	defer stop()
	s.sees("process 88")
	s.sees("1,000/s")
	s.types("q")
	s.ends(0)
}

func TestTopWithoutColours(t *testing.T) {
	s, _ := topOn(t, 80, 24, "NO_COLOR=1")
	if screen := s.sees("q quit"); strings.Contains(screen, "\x1b[1m") || strings.Contains(screen, "\x1b[0m") {
		t.Errorf("colours: %q", screen)
	}
	s.types("q")
	s.ends(0)

	s = startOn(t, 80, 24, []string{"TERM=dumb"}, "top", "--once", "--interval", "100ms", "--admin", serve(t, &made{}))
	if screen := s.sees("app0"); strings.Contains(screen, "\x1b") {
		t.Errorf("control sequences: %q", screen)
	}
}

func TestTopInPlainText(t *testing.T) {
	m := &made{}
	code, stdout, stderr := call("top", "--once", "--interval", "100ms", "--admin", serve(t, m))
	if code != 0 || stderr != "" || !strings.Contains(stdout, "\nrequests   1,000/s") ||
		strings.Contains(stdout, "\x1b") || strings.Contains(stdout, "q quit") {
		t.Errorf("code %d\n%s\n%s", code, stdout, stderr)
	}
	code, _, stderr = call("top", "--admin", "unix:"+t.TempDir()+"/none.sock")
	if code != 1 || !strings.Contains(stderr, "is uringproxy running?") {
		t.Errorf("code %d, %s", code, stderr)
	}
	for _, bad := range []string{"50ms", "2h", "fast", "-1s"} {
		code, _, stderr := call("top", "--interval", bad)
		if code != 2 || !strings.Contains(stderr, "from 100ms to 1h") {
			t.Errorf("%s: code %d, %s", bad, code, stderr)
		}
	}
}

// Every command shows the token that it is given, or that the configuration names.
func TestTokenOfCommands(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	at := serveWith(t, &made{}, secret)
	dir := t.TempDir()
	right, wrong, open := filepath.Join(dir, "right"), filepath.Join(dir, "wrong"), filepath.Join(dir, "my.toml")
	write(t, right, secret+"\n")
	write(t, wrong, strings.Repeat("x", 32))
	write(t, open, fmt.Sprintf("[admin]\naddress = %q\ntoken_file = %q\n", at, right))
	for _, command := range [][]string{{"status"}, {"reload"}, {"top", "--once", "--interval", "100ms"}} {
		for _, tt := range []struct {
			args   []string
			code   int
			stderr string
		}{
			{[]string{"--config", open}, 0, ""},
			{[]string{"--admin", at, "--token-file", right}, 0, ""},
			{[]string{"--admin", at}, 1, "this needs a token"},
			{[]string{"--config", open, "--token-file", wrong}, 1, "this is not the token"},
			{[]string{"--admin", at, "--token-file", dir + "/none"}, 1, "which does not exist"},
			{[]string{"--admin", at, "--token-file", ""}, 2, "the value is empty"},
		} {
			code, _, stderr := call(append(append([]string{}, command...), tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || (stderr == "") != (tt.stderr == "") ||
				strings.Contains(stderr, secret) {
				t.Errorf("%s %q: code %d, %s", command, tt.args, code, stderr)
			}
		}
	}
}

// Figures of another process, or of one that counts anew, are not compared.
func TestBetween(t *testing.T) {
	m := &made{}
	one, two := m.Metrics(), m.Metrics()
	if i := between(one, two); i == nil || i.total.requests != 1000 || i.seconds != 1 || i.services[0].requests != 100 {
		t.Errorf("%+v", i)
	}
	if between(two, one) != nil || between(one, one) != nil {
		t.Error("time goes backwards")
	}
	later := m.Metrics()
	later.Started = later.Started.Add(time.Second)
	if between(two, later) != nil {
		t.Error("two processes are compared")
	}
	later = m.Metrics()
	later.Services = []admin.Series{{Name: "app0\x1b[2J", Requests: 5}, {Name: "app1", Requests: 3}}
	i := between(two, later)
	if i.services[0].name != "app0?[2J" || i.services[0].requests != 5 || i.services[1].requests != 3 {
		t.Errorf("%+v", i.services)
	}
}

func TestFigures(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1e-9: "1.00ns", 999e-9: "999ns", 999.9e-9: "1.00µs", 0.0123: "12.3ms", 1: "1.00s",
		75.25: "75.2s", 4000: "4000s",
	} {
		if got := brief(v); got != want {
			t.Errorf("brief %v: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[int64]string{
		0: "0B", 1023: "1023B", 1024: "1.00KiB", 10 << 20: "10.0MiB", 1<<30 - 1: "1.00GiB", 5 << 50: "5120TiB",
	} {
		if got := size(v); got != want {
			t.Errorf("size %v: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{
		0: "0", 0.5: "0.50", 9.99: "9.99", 12: "12", 999.6: "1,000", 1234567: "1,234,567",
	} {
		if got := rate(v); got != want {
			t.Errorf("rate %v: %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0s", 59: "59s", 61: "1m1s", 3600: "1h0m", 90000: "1d1h"} {
		if got := ago(v); got != want {
			t.Errorf("ago %v: %q, want %q", v, got, want)
		}
	}
}
