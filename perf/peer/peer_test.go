package peer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func group(t *testing.T) *Group {
	t.Helper()
	g, err := NewGroup("peer-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g
}

func TestProcessRunsOnItsCore(t *testing.T) {
	g := group(t)
	var out strings.Builder
	cmd := exec.Command("grep", "Cpus_allowed_list", "/proc/self/status")
	cmd.Stdout = &out
	p, err := g.Start(0, cmd)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended
	if fields := strings.Fields(out.String()); len(fields) != 2 || fields[1] != "0" {
		t.Errorf("allowed cores: %q", out.String())
	}
}

// What a program started goes with it, and so does the folder.
func TestStopLeavesNothing(t *testing.T) {
	g := group(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	cmd.Stdout = in
	p, err := g.Start(0, cmd)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Fatal(err)
	}
	if got := children(p.Pid()); len(got) != 1 || got[0] != child {
		t.Errorf("children %v, want %d", got, child)
	}
	g.Stop()
	g.Stop()
	// Both have the pipe open: its end is theirs.
	if n, err := out.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
	if _, err := os.Stat(g.Dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if _, err := g.Start(0, exec.Command("true")); err == nil {
		t.Error("a stopped group starts programs")
	}
	if syscall.Kill(p.Pid(), 0) == nil {
		t.Error("the process is still there")
	}
}

// A program that ends by itself takes what it started with it. Its id, which may be somebody else's from then on, gets
// no signal any more.
func TestEndTakesTheGroupWithIt(t *testing.T) {
	g := group(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", "sleep 1000 & exit 0")
	cmd.Stdout = in
	p, err := g.Start(0, cmd)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended
	awaitEOF(t, out) // the pipe's other end is that of the child
	if p.killGroup(false) || p.killGroup(true) {
		t.Error("the group of a process that was reaped was killed")
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("state %v", p.cmd.ProcessState)
	}
}

// A program that does not care for SIGTERM is killed with all that it started.
func TestGroupIsKilledBeforeItsLeaderHasEnded(t *testing.T) {
	g := group(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", "trap '' TERM; sleep 1000 & echo x; while :; do wait; done")
	cmd.Stdout = in
	p, err := g.Start(0, cmd)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !p.killGroup(false) {
		t.Error("the group of a process that runs is not known")
	}
	<-p.Ended
	awaitEOF(t, out)
}

// awaitEOF waits until nobody has the other end of a pipe.
func awaitEOF(t *testing.T, pipe *os.File) {
	t.Helper()
	if err := pipe.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil { // for ever, but for what is broken
		t.Fatal(err)
	}
	if n, err := pipe.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestFailureTellsWhatTheProgramSaid(t *testing.T) {
	g := group(t)
	p, err := g.Start(0, exec.Command("sh", "-c", "echo no such key >&2; exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended
	err = p.Await(context.Background(), nil, "http://127.0.0.1:1/", "", time.Minute)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such key") {
		t.Errorf("error %v", err)
	}
	if _, err := g.Start(0, exec.Command("no-such-program")); err == nil {
		t.Error("a program that does not exist was started")
	}
}

func TestAwaitAsksForAHost(t *testing.T) {
	g := group(t)
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.Host != "a.example.com" || asked < 3 {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	p, err := g.Start(0, exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(context.Background(), nil, server.URL, "a.example.com", time.Minute); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if err := p.Await(context.Background(), nil, server.URL, "b.example.com", time.Nanosecond); err == nil {
		t.Error("waiting has no end")
	}
	err = p.Await(context.Background(), nil, server.URL, "b.example.com", 200*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "answered with 404") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Await(ctx, nil, server.URL, "b.example.com", time.Minute); err != context.Canceled {
		t.Errorf("error %v", err)
	}
}

func TestUsage(t *testing.T) {
	g := group(t)
	// The shell and its child have used some time when it writes: what has ended counts as well.
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; echo done; read x")
	cmd.Stdout = in
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	p, err := g.Start(0, cmd)
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	before, err := CPUTime(p.Pid())
	if err != nil || before < 2*userTick {
		t.Errorf("CPU time %v, %v", before, err)
	}
	if after, err := CPUTime(p.Pid()); err != nil || after < before {
		t.Errorf("CPU time %v after %v, %v", after, before, err)
	}
	if n, err := Memory(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("memory %d, %v", n, err)
	}
	if n, err := Anonymous(os.Getpid()); err != nil || n < 1<<19 {
		t.Errorf("anonymous memory %d, %v", n, err)
	}
	g.Stop()
	if _, err := CPUTime(p.Pid()); err == nil {
		t.Error("a process that has ended has a CPU time")
	}
	if _, err := Memory(p.Pid()); err == nil {
		t.Error("a process that has ended has memory")
	}
}

func TestBusyTime(t *testing.T) {
	before, apart, err := BusyTime(0)
	if err != nil || before <= 0 || apart < 0 || apart > before {
		t.Fatalf("busy for %v, %v of it apart: %v", before, apart, err)
	}
	if after, _, err := BusyTime(0); err != nil || after < before {
		t.Errorf("busy for %v, then for %v: %v", before, after, err)
	}
	if !IRQApart() && apart != 0 {
		t.Errorf("%v apart", apart)
	}
	if _, _, err := BusyTime(1 << 20); err == nil {
		t.Error("a core that does not exist was busy")
	}
}

// Threads that have ended count.
func TestUsageOfEndedThreads(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	used := make(chan time.Duration)
	go func() {
		runtime.LockOSThread()       // and never unlock it: the thread ends with the goroutine
		var begin, now unix.Timespec // of a thread that may have done other things before
		err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &begin)
		for now = begin; err == nil && now.Nano()-begin.Nano() < int64(20*time.Millisecond); {
			err = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
		}
		used <- time.Duration(now.Nano() - begin.Nano())
	}()
	spent := <-used
	if after, err := CPUTime(os.Getpid()); err != nil || after-before < spent/2 { // it may not be accounted to the end
		t.Errorf("CPU time %v after %v, of which a thread used %v: %v", after, before, spent, err)
	}
}

func TestKernelConfiguration(t *testing.T) {
	for text, want := range map[string]bool{
		"CONFIG_A=y\nCONFIG_IRQ_TIME_ACCOUNTING=y\n":         true,
		"# CONFIG_IRQ_TIME_ACCOUNTING is not set\n":          false,
		"CONFIG_HAVE_IRQ_TIME_ACCOUNTING=y\nCONFIG_TICK=y\n": false,
		"": false,
	} {
		if got := accountsIRQ(strings.NewReader(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestPorts(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Skip("somebody else has taken the port meanwhile")
	}
	defer l.Close()
	if other, err := FreePort(); err != nil || other == port {
		t.Errorf("port %d is free while it is in use, %v", other, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var o tail
	for i := range 10_000 {
		fmt.Fprintf(&o, "%d\n", i)
	}
	if s := o.String(); len(s) != tailBytes || !strings.HasSuffix(s, "9999\n") {
		t.Errorf("%d bytes, ending in %q", len(s), s[len(s)-10:])
	}
}
