package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

var given struct {
	sync.Mutex
	addrs map[string]bool
}

// Ports from here to there are below those that the kernel gives to clients and to "port 0", so that nobody gets one
// by chance between the time we look and the time it is bound.
const firstPort, lastPort = 10_000, 30_000

// FreeAddr is an address of host ("127.0.0.1", "::1") with a port that nobody listens on. None is given out twice here.
func FreeAddr(t testing.TB, host string) string {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		addr := net.JoinHostPort(host, strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		if given.addrs[addr] {
			continue
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue // somebody has it
		}
		l.Close()
		if given.addrs == nil {
			given.addrs = map[string]bool{}
		}
		given.addrs[addr] = true
		return addr
	}
	t.Fatalf("find a free port of %s: none of a thousand is", host)
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
