package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// passedOn is the configuration of a proxy that passes on what comes to addr, by TCP or UDP, to an upstream.
func passedOn(protocol, addr, upstream string) string {
	return fmt.Sprintf("[admin]\naddress = \"off\"\n"+
		"[listeners.%[1]s]\naddress = %[2]q\nprotocol = %[1]q\n"+
		"[services.%[1]s]\nendpoints = [\"%[1]s://%[3]s\"]\n"+
		"[%[1]s_routes.%[1]s]\nlisteners = [%[1]q]\nservice = %[1]q\n", protocol, addr, upstream)
}

// both passes on what comes to an address by TCP and by UDP.
func both(addr, upstream string) string {
	return passedOn("tcp", addr, upstream) + strings.TrimPrefix(passedOn("udp", addr, upstream),
		"[admin]\naddress = \"off\"\n")
}

// passing runs a test with a proxy on either engine that passes on to an upstream what comes to an address, and sees to
// it that no thread of the kernel's helps and that nothing is left in the end.
func passing(t *testing.T, config func(addr, upstream string) string, upstream string,
	test func(t *testing.T, addr string), flags ...string) {
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, config(addr, upstream), append([]string{"--engine", engine}, flags...)...)
		test(t, addr)
		p.NoWorkers()
		p.Stop()
	})
}

// tcpOnly is passedOn for TCP.
func tcpOnly(addr, upstream string) string { return passedOn("tcp", addr, upstream) }

// saidBy runs a program to its end, and returns what it writes to stdout.
func saidBy(t *testing.T, input string, tool string, args ...string) string {
	t.Helper()
	var complaint strings.Builder
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, &complaint, out)
	}
	return string(out)
}
