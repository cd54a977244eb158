package e2e

import (
	"fmt"
	"net"
	"sync"
	"testing"
)

var given struct {
	sync.Mutex
	addrs map[string]bool
}

// FreeAddr is an address of host ("127.0.0.1", "::1") with a port that nobody listens on. The kernel gives each bind a
// port of its own choice out of many thousands, and none is given out twice here, so the time until the
// port is bound again is no practical risk.
func FreeAddr(t testing.TB, host string) string {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatalf("find a free port: %v", err)
		}
		addr := l.Addr().String()
		l.Close()
		if given.addrs == nil {
			given.addrs = map[string]bool{}
		}
		if !given.addrs[addr] {
			given.addrs[addr] = true
			return addr
		}
	}
	t.Fatalf("find a free port of %s: the kernel repeats itself", host)
	return ""
}

// HaveIPv6 reports whether this machine's loopback interface has an IPv6 address; containers often lack it.
func HaveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

// Config is the least configuration that proxies everything from addrs ("127.0.0.1:80", "unix:/path") to one
// service. endpoint is a URL ("http://127.0.0.1:81") or "unix:/path".
func Config(endpoint string, addrs ...string) string {
	var text string
	for i, addr := range addrs {
		text += fmt.Sprintf("[listeners.l%d]\naddress = %q\n", i, addr)
	}
	return text + fmt.Sprintf("[routes.all]\nservice = \"all\"\n[services.all]\nendpoints = [%q]\n", endpoint)
}
