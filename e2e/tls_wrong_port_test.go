package e2e

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// The wrong language on a port: whoever speaks plain HTTP is told so, and whoever speaks TLS gets an end.
func TestTLSWrongPort(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, plain := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(NewChecking(t).URL, plain)+SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		for _, request := range []string{
			Request("GET", "/", "x.test", ""), Request("POST", "/", "x.test", strings.Repeat("b", 30_000)),
			"GET / HTTP/1.0\r\n\r\n", Request("OPTIONS", "*", "x.test", ""),
		} {
			w := Raw(t, addr)
			w.Send(request)
			res := w.ReadResponse("GET")
			if res.StatusCode != 400 || !strings.Contains(res.Text, "HTTPS") || !res.Close {
				t.Errorf("%d %q %v", res.StatusCode, res.Text, res.Header)
			}
			w.ExpectEOF()
		}
		for _, garbage := range []string{"SSH-2.0-OpenSSH_9\r\n", "\x00\x00\x00\x00\x00", "\x16\x03\x01\xff\xff",
			"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"} {
			w := Raw(t, addr)
			w.Send(garbage)
			if got := w.ReadAll(); got != "" && (len(got) != 7 || got[0] != 0x15) {
				t.Errorf("%q is answered by %q, want an alert or nothing", garbage, got)
			}
		}
		_, err := TrySecure(t, plain, &tls.Config{ServerName: "x.test", RootCAs: ca.Pool})
		if err == nil || !strings.Contains(err.Error(), "first record does not look like a TLS handshake") &&
			err != io.EOF {
			t.Errorf("TLS on a plain port: %v", err)
		}
		p.Stop()
	})
}
