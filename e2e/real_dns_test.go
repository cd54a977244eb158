package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	queriesDone = regexp.MustCompile(`Queries completed: +(\d+) `)
	queriesLost = regexp.MustCompile(`Queries lost: +(\d+) `)
)

// dig asks by UDP, and by TCP where an answer is too long for that; dnsperf asks from many sockets at once.
func TestDNS(t *testing.T) {
	up := &Server{Addr: FreeAddr(t, "127.0.0.1"), Dir: t.TempDir()}
	_, port, err := net.SplitHostPort(up.Addr)
	do(t, err)
	up.args = []string{Tool(t, "dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv",
		"--user=" + userName(), "--pid-file=" + filepath.Join(up.Dir, "pid"), "--listen-address=127.0.0.1",
		"--bind-interfaces", "--port=" + port, "--address=/x.test/192.0.2.7"}
	for i := range 60 { // too much for a datagram
		up.args = append(up.args, "--txt-record=long.test,"+strings.Repeat("text", 40)+strconv.Itoa(i))
	}
	up.Restart(t)
	queries := filepath.Join(up.Dir, "queries")
	var text strings.Builder
	for i := range 1000 {
		text.WriteString("host" + strconv.Itoa(i) + ".x.test A\n")
	}
	do(t, os.WriteFile(queries, []byte(text.String()), 0o600))
	passing(t, both, up.Addr, func(t *testing.T, addr string) {
		host, port, err := net.SplitHostPort(addr)
		do(t, err)
		dig := func(args ...string) string {
			return saidBy(t, "", Tool(t, "dig"), append([]string{"@" + host, "-p", port, "+tries=3"}, args...)...)
		}
		for _, transport := range []string{"+notcp", "+tcp"} {
			if got := dig("+short", transport, "a.x.test", "A"); got != "192.0.2.7\n" {
				t.Errorf("%s: %q", transport, got)
			}
		}
		if got := dig("long.test", "TXT"); !strings.Contains(got, "ANSWER: 60,") || !strings.Contains(got, "(TCP)") {
			t.Errorf("a long answer:\n%s", got)
		}
		out := saidBy(t, "", Tool(t, "dnsperf"), "-s", host, "-p", port, "-d", queries, "-n", "20", "-c", "50",
			"-q", "100")
		done, lost := queriesDone.FindStringSubmatch(out), queriesLost.FindStringSubmatch(out)
		if done == nil || lost == nil || lost[1] != "0" || done[1] != "20000" {
			t.Errorf("dnsperf:\n%s", out)
		}
		_, figure, _ := strings.Cut(out, "Queries per second:")
		t.Logf("dnsperf: %.10s queries a second", strings.TrimSpace(figure))
	})
}

// userName is who runs the test.
func userName() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}
