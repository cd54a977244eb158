package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// socketCalls are the system calls that backends make; whatever else their threads do is the Go runtime's.
const socketCalls = "io_uring_enter,epoll_pwait2,epoll_ctl,accept4,socket,connect,setsockopt,getsockopt,shutdown," +
	"close,recvfrom,recvmsg,read,readv,sendto,sendmsg,write,writev,ioctl"

var counted = regexp.MustCompile(`msg=engine turns=\d+ syscalls=(\d+)`)

// The number of system calls that a backend says it has made is that which the kernel has seen, so that limits to it
// are worth something.
func TestSystemCallsAreCounted(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up, addr := hello(t), FreeAddr(t, "127.0.0.1")
		trace := filepath.Join(t.TempDir(), "trace")
		p := startUnder(t, []string{Tool(t, "strace"), "-D", "-f", "-qq", "-o", trace, "-e", "trace=" + socketCalls},
			Config(up.URL(), addr), "--engine", engine, "--shards", "1")
		client := Client(t)
		const requests = 1000
		for range requests {
			if res := get(t, client, "GET", "http://"+addr+"/"); res.StatusCode != 200 {
				t.Fatalf("status %d", res.StatusCode)
			}
		}
		p.Stop()
		m := counted.FindStringSubmatch(p.Output())
		if m == nil {
			t.Fatalf("the log does not tell the system calls:\n%s", p.Output())
		}
		own, _ := strconv.Atoi(m[1])
		seen := busiest(t, trace)
		t.Logf("%d system calls seen, %d counted, in %d requests", seen, own, requests)
		// A shard makes some for itself, before its backend is open and after it has said its count.
		if spare := 60 + seen/50; own < seen-spare || own > seen+spare || own < 2*requests {
			t.Errorf("%d system calls seen, %d counted", seen, own)
		}
	})
}

// startUnder is Start for a proxy that another program runs.
func startUnder(t *testing.T, runner []string, config string, args ...string) *Proxy {
	t.Helper()
	p := &Proxy{Dir: t.TempDir()}
	p.Config = filepath.Join(p.Dir, "uringproxy.toml")
	if err := os.WriteFile(p.Config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	line := append(append(runner, Build(t), "run", "--config", p.Config), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = p.Dir
	p.process = launch(t, cmd)
	p.WaitOutput(ready, 1)
	return p
}

// busiest is the number of system calls, in what strace has written, of the thread that made the most: the only
// shard's.
func busiest(t *testing.T, trace string) int {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	most, calls := 0, map[string]int{}
	for line := range strings.Lines(string(text)) {
		var thread, call string
		if _, err := fmt.Sscan(line, &thread, &call); err != nil || strings.HasPrefix(call, "<...") {
			continue // the rest of a call that was counted when it began
		}
		if strings.Contains(call, "(") {
			calls[thread]++
			most = max(most, calls[thread])
		}
	}
	return most
}
