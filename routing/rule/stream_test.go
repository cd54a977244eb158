package rule

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// streamFaults are rules of tcp routes with the part at fault between « and », and parts of the message.
var streamFaults = map[string]string{
	"SNI(`a.b`) && «Path»(`/`)":          "Path needs a request; this is a tcp route; use ClientIP, Dest",
	"!(ALPN(`h2`) || «Host»(`a.b`))":     "Host needs a request; this is a tcp route; write SNI, the name",
	"«HostRegexp»(`a.b`)":                "write SNIRegexp",
	"«Header»(`a`)":                      "Header needs a request",
	"«Method»":                           "Method needs a request",
	"«ClientCert»(`a`)":                  "ClientCert needs a finished handshake",
	"SNI(`a.b`) || «ClientCertRegexp»(x": "needs a finished handshake",
	"«HostSNI»(`*`)":                     "leave the rule out: a route without one gets everything",
	"SNI(`«*»`)":                         "a bare wildcard is not needed",
}

func TestStreamFaults(t *testing.T) {
	for marked, want := range streamFaults {
		text := strings.NewReplacer("«", "", "»", "").Replace(marked)
		_, err := ParseStream(text)
		var fault *Error
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseStream(%s): %v, want %s", text, err, want)
			continue
		}
		at := strings.Index(marked, "«")
		if end := strings.Index(marked, "»") - len("«"); fault.At != at || fault.At+fault.Len != end {
			t.Errorf("ParseStream(%s): fault at %d+%d, want %d to %d", text, fault.At, fault.Len, at, end)
		}
	}
}

// TestDatagramFaults: udp routes have addresses only, and say so.
func TestDatagramFaults(t *testing.T) {
	for text, want := range map[string]string{
		"SNI(`a.b`)":    "SNI needs a TLS connection; this is a udp route; use ClientIP, DestinationPort",
		"ALPN(`h3`)":    "ALPN needs a TLS connection",
		"Host(`a.b`)":   "Host needs a request; this is a udp route; use ClientIP, DestinationPort",
		"HostSNI(`*`)":  "leave the rule out",
		"ClientIP(`x`)": "is no IP address",
	} {
		if _, err := ParseDatagram(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestStreamKinds: the matchers of tcp routes are those that look at the hello or the address.
func TestStreamKinds(t *testing.T) {
	const want = "ClientIP DestinationPort SNI SNIRegexp ALPN TLSVersion CipherSuite CipherSuiteOnly JA4"
	if got := strings.Join(ofConnections.names(), " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := strings.Join(ofDatagrams.names(), " "); got != "ClientIP DestinationPort" {
		t.Errorf("of datagrams: %s", got)
	}
	for k := Host; k < kinds; k++ {
		_, err := ParseStream(k.example())
		if (err == nil) != k.Stream() {
			t.Errorf("%s: %v", k, err)
		}
		if _, err := ParseDatagram(k.example()); (err == nil) != k.Datagram() {
			t.Errorf("%s in a udp route: %v", k, err)
		}
	}
}

// TestOverHost: a rule that is compiled over the host fits the same, and is shown as it was written.
func TestOverHost(t *testing.T) {
	const text = "(SNI(`a.b`, `*.c`) || SNIRegexp(`^x`)) && !SNI(`y.c`) && ALPN(`h2`)"
	e, err := ParseStream(text)
	if err != nil {
		t.Fatal(err)
	}
	const over = "(Host(`*.c`, `a.b`) || HostRegexp(`^x`)) && !Host(`y.c`) && ALPN(`h2`)"
	if got := e.OverHost().String(); got != over {
		t.Errorf("%s, want %s", got, over)
	}
	if (*Expr)(nil).OverHost() != nil {
		t.Error("the rule that fits everything")
	}
	x, err := e.OverHost().Expand()
	if err != nil {
		t.Fatal(err)
	}
	var back []string
	for _, a := range x.Alternatives {
		a = a.OverSNI()
		back = append(back, a.String())
	}
	want := "SNI(`*.c`) && !SNI(`y.c`) && ALPN(`h2`)\nSNI(`a.b`) && ALPN(`h2`)\nSNIRegexp(`^x`) && ALPN(`h2`)"
	if got := strings.Join(back, "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if e.String() != "(SNI(`*.c`, `a.b`) || SNIRegexp(`^x`)) && !SNI(`y.c`) && ALPN(`h2`)" {
		t.Errorf("OverHost has changed the rule to %s", e)
	}
}

// TestEnclose: what is left of conditions on all suites that a client offers.
func TestEnclose(t *testing.T) {
	for text, want := range map[string]string{
		"CipherSuiteOnly(`cbc`) && CipherSuiteOnly(`rsa`) && !CipherSuiteOnly(`tls13`)": "",
		"CipherSuiteOnly(`0x1301`, `0x1302`) && CipherSuiteOnly(`0x1302`, `0x1303`)":    "CipherSuiteOnly(`0x1302`)",
		"CipherSuiteOnly(`0x1301`) && CipherSuiteOnly(`0x1302`)":                        "impossible",
		"CipherSuiteOnly(`0x1301`) && !CipherSuiteOnly(`tls13`)":                        "impossible",
		"!CipherSuiteOnly(`0x1301`) && !CipherSuiteOnly(`tls13`)":                       "!CipherSuiteOnly(`tls13`)",
		"!CipherSuiteOnly(`cbc`) && !CipherSuiteOnly(`tls13`)": "!CipherSuiteOnly(`cbc`) && " +
			"!CipherSuiteOnly(`tls13`)",
		"CipherSuiteOnly(`0x1301`, `0x1302`) && !CipherSuiteOnly(`0x1302`, `0x1303`)": "CipherSuiteOnly(`0x1301`, " +
			"`0x1302`) && !CipherSuiteOnly(`0x1302`)",
	} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		x, err := e.Expand()
		if err != nil {
			t.Fatal(err)
		}
		if want == "" { // the suites of both groups
			both := inBoth("cbc", "rsa")
			if len(x.Alternatives) != 1 || len(x.Alternatives[0].Tests) != 1 ||
				len(x.Alternatives[0].Tests[0].Numbers) != both {
				t.Errorf("%s: %s", text, show(&x))
			}
			continue
		}
		if got := show(&x); canonicalText(t, got) != canonicalText(t, want) {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}

// inBoth counts the suites that two groups have in common.
func inBoth(a, b string) (n int) {
	for _, number := range members(b) {
		if slices.Contains(members(a), number) {
			n++
		}
	}
	return n
}

// canonicalText writes a rule as String does; what is none, as far as its first word.
func canonicalText(t *testing.T, text string) string {
	t.Helper()
	if strings.HasPrefix(text, "impossible") {
		return "impossible"
	}
	e, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e.String()
}
