package e2e

import (
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// benchmarked is a result of redis-benchmark.
var benchmarked = regexp.MustCompile(`[A-Z_]+: [0-9.]+ requests per second`)

// A large value comes back as it was, and redis-benchmark gets all of its answers, one by one and in a pipeline.
func TestRedis(t *testing.T) {
	up := &Server{Addr: FreeAddr(t, "127.0.0.1"), Dir: t.TempDir()}
	_, port, err := net.SplitHostPort(up.Addr)
	do(t, err)
	up.args = []string{Tool(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly",
		"no", "--dir", up.Dir, "--daemonize", "no"}
	up.Restart(t)
	passing(t, tcpOnly, up.Addr, func(t *testing.T, addr string) {
		host, port, err := net.SplitHostPort(addr)
		do(t, err)
		const size = 10_000_000
		value, err := io.ReadAll(Body("redis", size))
		do(t, err)
		cli := func(input string, args ...string) string {
			return saidBy(t, input, Tool(t, "redis-cli"), append([]string{"-h", host, "-p", port}, args...)...)
		}
		if got := cli(string(value), "-x", "set", "key"); got != "OK\n" {
			t.Errorf("set: %q", got)
		}
		got := cli("", "--raw", "get", "key")
		if got != string(value)+"\n" {
			t.Errorf("%d bytes came back of %d, or other ones", len(got), size)
		}
		for _, args := range [][]string{
			{"-c", "50", "-n", "5000", "-P", "1"}, {"-c", "50", "-n", "20000", "-P", "16"},
			{"-c", "50", "-n", "500", "-k", "0"}, {"-c", "4", "-n", "500", "-d", "65536"},
		} {
			args = append([]string{"-h", host, "-p", port, "-t", "ping,set,get", "-q", "-e"}, args...)
			out, err := exec.CommandContext(t.Context(), Tool(t, "redis-benchmark"), args...).CombinedOutput()
			done := strings.Count(string(out), "requests per second, p50")
			if err != nil || done != 4 || strings.Contains(string(out), "Error") { // PING is made in two ways
				t.Errorf("redis-benchmark %v: %v\n%s", args, err, out)
			}
			for _, figure := range benchmarked.FindAllString(string(out), -1) {
				t.Logf("redis-benchmark %v: %s", args[7:], figure)
			}
		}
	})
}
