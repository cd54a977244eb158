package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/report"
)

func TestBenchCalls(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "no", "such.json")
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"--help", 0, "--keep-configs", ""},
		{"--list", 0, "reload-under-load", ""},
		{"--list --conns 7 --rounds 3", 0, "7 connections, as fast as they are answered, 3 rounds of 1 s", ""},
		{"--list --quick", 0, "2 rounds of 1 s", ""},
		{"--show-configs --only nginx,uringproxy-epoll --scenario churn", 0, "==== nginx: churn\n", ""},
		{"--show-configs --scenario x", 2, "", `there is no scenario "x"; there are: http1-small, `},
		{"--show-configs --only ngnix", 2, "", `there is no proxy "ngnix"; did you mean "nginx"?`},
		{"--rounds 0", 2, "", `invalid value "0" for --rounds: expected a number from 1 on; see:`},
		{"--rounds 100000", 2, "", "100000 rounds: expected 1 to 1000; see: uringproxy help bench"},
		{"--seconds 0.01", 2, "", "expected 0.1 to 3600"},
		{"--seconds NaN", 2, "", "expected 0.1 to 3600"},
		{"--peer nginx", 2, "", "expected NAME=PATH such as nginx=/opt/nginx/sbin/nginx"},
		{"--only base-uring", 2, "", "give it with --peer base=PATH"},
		{"--only nginx,", 2, "", "expected names with commas between"},
		{"--proxy-core 4000", 2, "", "--proxy-core: core 4000 is none of those that this process may use"},
		{"http1-small", 2, "", `unexpected argument "http1-small"`},
		{"helper", 1, "", "bench helper is for uringproxy itself"},
		{"--show " + nowhere, 1, "", "open result: "},
		{"--quick --json " + nowhere, 1, "", "write result: "},
	} {
		code, stdout, stderr := call(append([]string{"bench"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("bench %s: code %d\n%s\n%s", c.args, code, stdout, stderr)
		}
	}
}

// Files are not touched by a call without sense, and none is left behind when nothing comes to be in it.
func TestBenchLeavesNoEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	fresh, kept := filepath.Join(dir, "fresh.json"), filepath.Join(dir, "kept.html")
	if err := os.WriteFile(kept, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(dir, "no", "such")
	for _, args := range [][]string{
		{"--rounds", "100000", "--json", fresh, "--html", kept}, // found out only after all flags are read
		{"--json", fresh, "--html", nowhere},
		{"--scenario", "x", "--json", fresh, "--html", kept},
	} {
		if code, _, stderr := call(append([]string{"bench"}, args...)...); code == 0 {
			t.Errorf("bench %v: code %d\n%s", args, code, stderr)
		}
		if _, err := os.Stat(fresh); err == nil {
			t.Errorf("bench %v leaves a file behind", args)
		}
		if text, err := os.ReadFile(kept); string(text) != "before" {
			t.Errorf("bench %v: the file that was there is %q, %v", args, text, err)
		}
	}
}

// What can be written is, whatever becomes of the rest.
func TestBenchWritesWhatItCan(t *testing.T) {
	dir := t.TempDir()
	file, nowhere := filepath.Join(dir, "a"), filepath.Join(dir, "no", "such")
	if err := os.WriteFile(file, []byte(`{"version":"1.2.3"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	again, page := filepath.Join(dir, "b"), filepath.Join(dir, "c")
	for _, args := range [][]string{{"--json", nowhere, "--html", page}, {"--json", again, "--html", nowhere}} {
		code, stdout, stderr := call(append([]string{"bench", "--show", file}, args...)...)
		if code != 1 || !strings.Contains(stdout, "1.2.3") || !strings.Contains(stderr, "write result: ") {
			t.Errorf("bench %v: code %d\n%s\n%s", args, code, stdout, stderr)
		}
	}
	for _, path := range []string{again, page} {
		if text, err := os.ReadFile(path); err != nil || !bytes.Contains(text, []byte("1.2.3")) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCommandLineCanBeTypedAgain(t *testing.T) {
	got := commandLine([]string{"--peer", "nginx=/a b/it's", "--quick", ""})
	if want := `uringproxy bench --peer 'nginx=/a b/it'\''s' --quick ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// buildBench builds the program, which starts itself, and runs it once for a tiny benchmark.
func buildBench(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "uringproxy")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, append([]string{"bench", "--only", "uringproxy-epoll", "--scenario", "http1-small"},
		args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	return cmd
}

// What is kept as JSON is shown again as it was.
func TestBenchKeepsItsResult(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "a.json"), filepath.Join(dir, "a.html")
	cmd := buildBench(t, "--rounds", "1", "--seconds", "0.2", "--conns", "2", "--json", file, "--html", page)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run, err := readRun(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(run.Command, "uringproxy bench --only uringproxy-epoll ") || len(run.Scenarios) != 1 {
		t.Errorf("command %q, %d scenarios", run.Command, len(run.Scenarios))
	}
	code, shown, stderr := call("bench", "--show", file, "--html", page+"2")
	if code != 0 || shown != string(out) {
		t.Errorf("code %d, shown\n%s\nfirst\n%s\n%s", code, shown, out, stderr)
	}
	first, err1 := os.ReadFile(page)
	again, err2 := os.ReadFile(page + "2")
	if err1 != nil || err2 != nil || !bytes.Equal(first, again) {
		t.Errorf("the pages differ: %v, %v", err1, err2)
	}
	var text bytes.Buffer
	kept, err := os.ReadFile(file)
	if err := report.JSON(&text, run); err != nil {
		t.Fatal(err)
	}
	if err != nil || !bytes.Equal(kept, text.Bytes()) {
		t.Errorf("what was written reads back as something else: %v", err)
	}
	if code, stdout, _ := call("bench", "--show", file, "--json", "-"); code != 0 || stdout != string(kept) {
		t.Errorf("code %d, %d bytes of JSON", code, len(stdout))
	}
}

// Ctrl-C, and an end that nobody can prepare for, leave no process.
func TestBenchLeavesNoProcess(t *testing.T) {
	// Under nohup a hang-up is ignored, here and by the child. What is caught here has its default effect there.
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	defer signal.Stop(hangUps)
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(how.String(), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.json")
			cmd := buildBench(t, "--rounds", "9", "--seconds", "600", "--conns", "2", "--json", file)
			errs, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			lines := bufio.NewScanner(errs)
			for lines.Scan() && !strings.Contains(lines.Text(), "warm-up") {
			}
			children := awaitChildren(t, cmd.Process.Pid, 3)
			if err := cmd.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			rest, _ := io.ReadAll(errs)
			_ = cmd.Wait()
			told := cmd.ProcessState.ExitCode() == 1 && strings.Contains(string(rest), "interrupted")
			if _, err := os.Stat(file); how != syscall.SIGKILL && (!told || err == nil) {
				t.Errorf("%v, file %v: %s", cmd.ProcessState, err, rest)
			}
			for _, id := range children {
				awaitEnd(t, id)
			}
		})
	}
}

// longEnough is how long to wait for what does happen, on a machine that has much else to do.
const longEnough = 30 * time.Second

// awaitChildren waits until a process has started so many others.
func awaitChildren(t *testing.T, parent, count int) (ids []int) {
	t.Helper()
	for deadline := time.Now().Add(longEnough); time.Now().Before(deadline); {
		ids = nil
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
		for _, list := range lists {
			text, _ := os.ReadFile(list)
			for _, field := range strings.Fields(string(text)) {
				var id int
				if _, err := fmt.Sscan(field, &id); err == nil {
					ids = append(ids, id)
				}
			}
		}
		if len(ids) >= count {
			return ids
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("only %d processes were started", len(ids))
	return nil
}

// awaitEnd waits until a process has ended, or is a zombie that waits for whoever adopted it.
func awaitEnd(t *testing.T, id int) {
	t.Helper()
	for deadline := time.Now().Add(longEnough); time.Now().Before(deadline); {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d goes on", id)
}
