package config

import (
	"strings"
	"testing"
)

func TestListenAddresses(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", ":8080": "[::]:8080", "[::1]:80": "[::1]:80",
		"[::ffff:10.0.0.1]:80": "10.0.0.1:80",
		"unix:/run/x.sock":     "/run/x.sock", "unix:@x": "@x", "0.0.0.0:65535": "0.0.0.0:65535",
	} {
		addr, unix, hint := parseListen(s)
		got := unix
		if addr.IsValid() {
			got += addr.String()
		}
		if got != want || hint != "" {
			t.Errorf("parseListen(%q) = %q, %q, want %q", s, got, hint, want)
		}
	}
	for s, want := range map[string]string{
		"8080": `write ":8080"`, "10.0.0.1": `write "10.0.0.1:8080"`, "::1": `write "[::1]:8080"`,
		"*:80":         `write ":80"`,
		"localhost:80": `write "127.0.0.1:80"`, "/run/x.sock": `write "unix:/run/x.sock"`,
		"http://1.2.3.4:80/": `write "1.2.3.4:80"`,
		"unix:x.sock":        "begins with a slash", "unix:@": "begins with a slash",
		"unix:/" + strings.Repeat("a", 107): "at most 107 bytes",
		"unix:/run/":                        "names a file",
		"127.0.0.1:0":                       "between 1 and 65535", ":70000": "between 1 and 65535",
		"web:80":            "not a name",
		"[fe80::1%eth0]:80": "zone",
	} {
		if addr, unix, hint := parseListen(s); addr.IsValid() || unix != "" || !strings.Contains(hint, want) {
			t.Errorf("parseListen(%q) = %v, %q, hint %q, want a hint with %q", s, addr, unix, hint, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for s, want := range map[string]Endpoint{
		"http://10.0.0.1:9000":      {Host: "10.0.0.1", Port: 9000},
		"http://10.0.0.1":           {Host: "10.0.0.1", Port: 80},
		"http://[::1]:9000/":        {Host: "::1", Port: 9000},
		"http://[::ffff:1.2.3.4]":   {Host: "1.2.3.4", Port: 80},
		"http://App.Internal.:3000": {Host: "app.internal", Port: 3000},
		"HTTP://my_app:3000":        {Host: "my_app", Port: 3000},
		"unix:/run/app.sock":        {Unix: "/run/app.sock"},
		"https://App.Internal":      {Host: "app.internal", Port: 443, TLS: true},
		"https://[::1]:8443/":       {Host: "::1", Port: 8443, TLS: true},
		"tcp://10.0.0.1:5432":       {Host: "10.0.0.1", Port: 5432},
		"tls://Db.Internal:5432":    {Host: "db.internal", Port: 5432, TLS: true},
		"udp://[::1]:53":            {Host: "::1", Port: 53},
	} {
		if got, _, hint := parseEndpoint(s); got != want || hint != "" {
			t.Errorf("parseEndpoint(%q) = %+v, %q", s, got, hint)
		}
	}
	for s, want := range map[string]string{
		"": "empty", "10.0.0.1:80": `write "http://10.0.0.1:80"`, "app": `write "http://app"`,
		"app:80":  `write "http://app:80"`,
		"tcp://a": "no port of its own", "https://a:0": "port", "ftp://a": `scheme "ftp"`, "http://u:p@a": "user name",
		"udp://a": "udp has no port of its own", "tls://a": "tls has no port of its own", "udp://a:1/x": "path or query",
		"ws://a:1/": `write "http://a:1"; WebSockets begin as requests`, "wss://a": `write "https://a"`,
		"postgres://u:p@a:5432": `write "tcp://HOST:PORT"`, "rediss://a:1": `write "tls://a:1"`,
		"dns://a": `write "udp://HOST:PORT"`, "grpc://a": `scheme "grpc" is not supported`,
		"http://a/x": "path or query",
		"http://a?x": "path or query", "http://a:0": "port", "http://a:99999": "port",
		"http://0.0.0.0:80":          "no address to connect to",
		"http://[fe80::1%25eth0]:80": "zone", "http://a..b": "neither", "http://1.2.3.256": "neither",
		"http://":  "neither",
		"unix:app": "slash", "http://[::1": "no URL",
	} {
		if got, _, hint := parseEndpoint(s); !strings.Contains(hint, want) || hint == "" {
			t.Errorf("parseEndpoint(%q) = %+v, hint %q, want a hint with %q", s, got, hint, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	for s, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.168.1.1": "192.168.1.1/32", "::1": "::1/128", "fd00::/8": "fd00::/8",
		"::ffff:1.2.3.4": "1.2.3.4/32",
	} {
		if p, hint := parseNetwork(s); p.String() != want || hint != "" {
			t.Errorf("parseNetwork(%q) = %v, %q", s, p, hint)
		}
	}
	for s, want := range map[string]string{
		"10.0.0.1/8": `write "10.0.0.0/8"`, "::ffff:10.0.0.0/104": "own form", "x": "", "10.0.0.0/33": "",
	} {
		if p, hint := parseNetwork(s); p.IsValid() || !strings.Contains(hint, want) {
			t.Errorf("parseNetwork(%q) = %v, %q", s, p, hint)
		}
	}
}
