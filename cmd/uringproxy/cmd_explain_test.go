package main

import (
	"os"
	"strings"
	"testing"
)

// aHello is what a client with one old suite and no extensions sends first.
const aHello = `
160301002d 01000029 0303 0000000000000000000000000000000000000000000000000000000000000000 00
0002002f 0100
`

// TestExplainClientHello: from a file and from the input, and what is said of files that are none.
func TestExplainClientHello(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "tls.toml", "[listeners.web]\naddress = \":443\"\ntls.self_signed = true\n"+
		"[tcp_routes.old]\nrule = \"CipherSuiteOnly(`cbc`)\"\nservice = \"old\"\n"+
		"[services.old]\nendpoints = \"tcp://10.0.0.1:1\"\n")
	write(t, "hello.hex", aHello)
	write(t, "empty", "")
	write(t, "large", strings.Repeat("0", maxHelloFile+1))
	for _, name := range []string{"hello.hex", "-"} {
		input, err := os.Open("hello.hex")
		if err != nil {
			t.Fatal(err)
		}
		terminal := os.Stdin
		os.Stdin = input
		code, stdout, stderr := call("explain", "--config", "tls.toml", "--client-hello", name)
		os.Stdin = terminal
		input.Close()
		if code != exitOK || !strings.Contains(stdout, "tcp route old takes the connection as it is") {
			t.Errorf("%s: code %d, %s%s", name, code, stdout, stderr)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--client-hello", "nowhere"}, "read ClientHello: open nowhere"},
		{[]string{"--client-hello", "empty"}, "read ClientHello: empty is empty"},
		{[]string{"--client-hello", "large"}, "has more than 131072 bytes"},
		{[]string{"--client-hello", "tls.toml"}, "no TLS records"},
		{[]string{"--alpn", "h2,,http/1.1"}, "a value is empty"},
		{nil, "explain takes one URL, and has 0"},
	} {
		code, _, stderr := call(append([]string{"explain", "--config", "tls.toml"}, tt.args...)...)
		if code == exitOK || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: code %d, %s", tt.args, code, stderr)
		}
	}
}
