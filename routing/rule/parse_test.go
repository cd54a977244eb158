package rule

import (
	"errors"
	"strings"
	"testing"
)

// goodRules are rules with what String makes of them.
var goodRules = map[string]string{
	"Host(`Example.COM.`)":                        "Host(`example.com`)",
	"Host(\"b.c\",`a.b` , `a.b`)":                 "Host(`a.b`, `b.c`)",
	"Host(`bücher.example`)":                      "Host(`xn--bcher-kva.example`)",
	"Host(`*.Straße.de`)":                         "Host(`*.xn--strae-oqa.de`)",
	"Host(`XN--BCHER-KVA.example`)":               "Host(`xn--bcher-kva.example`)",
	"Host(`例え。テスト`)":                              "Host(`xn--r8jz45g.xn--zckzah`)",
	"Host(`r3---a_b.c`)":                          "Host(`r3---a_b.c`)",
	"Host(`0:0::1`, `10.0.0.1`, `[2001:DB8::1]`)": "Host(`10.0.0.1`, `[2001:db8::1]`, `[::1]`)",
	"SNI(`**.A.b`)":                               "SNI(`**.a.b`)",
	"Path(`/a/`)":                                 "Path(`/a/`)",
	"Path(`/%61dmin/./x`)":                        "Path(`/admin/x`)",
	"Path(`/café au`)":                            "Path(`/caf%C3%A9%20au`)",
	"Path(`/a%2fb`)":                              "Path(`/a%2Fb`)",
	"PathPrefix(`/api/`, `/b//`)":                 "PathPrefix(`/api`, `/b`)",
	"PathPrefix(`/`, `/api`)":                     "PathPrefix(`/`)",
	"PathPrefixRaw(`/.`, `/a/./..%2e`)":           "PathPrefixRaw(`/.`, `/a/...`)",
	"PathPrefixRaw(`/img-`, `/`)":                 "PathPrefixRaw(`/`, `/img-`)",
	"PathRegexp(`^/a\\d{2,3}$`)":                  "PathRegexp(`^/a\\d{2,3}$`)",
	`PathRegexp("\\p{Greek}\x60")`:                "PathRegexp(\"\\\\p{Greek}`\")",
	"Method(`get`, `POST`)":                       "Method(`GET`, `POST`)",
	"Header(`X-Env`)":                             "Header(`x-env`)",
	"Header(`X-Env`, `b`, ``, `a b`)":             "Header(`x-env`, ``, `a b`, `b`)",
	`Header("A", "\xff\u00e9\t.")`:                `Header(` + "`a`" + `, "\xffé\t.")`,
	"HeaderRegexp(`A-B`, `x|y`)":                  "HeaderRegexp(`a-b`, `x|y`)",
	"Query(`K`)||Query(`k`,`v`)":                  "Query(`K`) || Query(`k`, `v`)",
	"QueryRegexp(`k`, `^v`)":                      "QueryRegexp(`k`, `^v`)",
	"ClientIP(`10.1.2.3/8`, `::1`, `10.0.0.0/8`)": "ClientIP(`10.0.0.0/8`, `::1`)",
	"ClientIP(`::ffff:10.1.2.3`)":                 "ClientIP(`10.1.2.3`)",
	"ClientIP(`::ffff:10.1.2.3/104`, `::/0`)":     "ClientIP(`10.0.0.0/8`, `::/0`)",
	"DestinationPort(`6000-6100`, `5432`)":        "DestinationPort(`5432`, `6000-6100`)",
	"DestinationPort(`3-4`, `1-2`, `9-9`, `6`)":   "DestinationPort(`1-4`, `6`, `9`)",
	"DestinationPort(`1-65535`, `65535`, `7-9`)":  "DestinationPort(`1-65535`)",
	"ALPN(`h2`, `foo`)":                           "ALPN(`foo`, `h2`)",
	"TLSVersion(`TLSv1.3`, `1.2`, `tls 1.0`)":     "TLSVersion(`1.0`, `1.2`, `1.3`)",
	"CipherSuite(`0x1301`, `0xFAFA`)":             "CipherSuite(`TLS_AES_128_GCM_SHA256`, `0xfafa`)",
	"CipherSuite(`legacy`, `cbc`, `0x0005`)":      "CipherSuite(`cbc`, `legacy`)",
	"CipherSuite(`tls13`)":                        "CipherSuite(`tls13`)",
	"CipherSuiteOnly(`rsa`,`cbc`, `0x1301`)":      "CipherSuiteOnly(`cbc`, `rsa`, `TLS_AES_128_GCM_SHA256`)",
	"SNIRegexp(`^$`, `^a`)":                       "SNIRegexp(`^$`, `^a`)",
	"ClientCert(`b`, `Ä c@x`)":                    "ClientCert(`b`, `Ä c@x`)",
	"ClientCertRegexp(`^spiffe://`)":              "ClientCertRegexp(`^spiffe://`)",
	"JA4(`T13d1516h2_8DAAF6152771_e5627efa2ab1`)": "JA4(`t13d1516h2_8daaf6152771_e5627efa2ab1`)",

	"Path(`/a`)&&Path(`/b`)||Path(`/c`)":        "Path(`/a`) && Path(`/b`) || Path(`/c`)",
	"Path(`/a`)&&(Path(`/b`)||Path(`/c`))":      "Path(`/a`) && (Path(`/b`) || Path(`/c`))",
	"(Path(`/a`)&&\n (Path(`/b`)&&Path(`/c`)))": "Path(`/a`) && Path(`/b`) && Path(`/c`)",
	"!!Path(`/a`)":                   "Path(`/a`)",
	"! ( Path(`/a`) || Path(`/b`) )": "!(Path(`/a`) || Path(`/b`))",
	"!Path(`/a`) && !(!Path(`/b`))":  "!Path(`/a`) && Path(`/b`)",
	"\tPath (\r\n`/a` )\t":           "Path(`/a`)",
	strings.Repeat("(", 100) + "Path(`/a`)" + strings.Repeat(")", 100): "Path(`/a`)",
}

func TestParse(t *testing.T) {
	for in, want := range goodRules {
		e, err := Parse(in)
		if err != nil {
			t.Errorf("Parse(%s): %v", in, err)
			continue
		}
		if got := e.String(); got != want {
			t.Errorf("Parse(%s) = %s, want %s", in, got, want)
		}
		if again, err := Parse(want); err != nil || again.String() != want {
			t.Errorf("Parse(%s) is not stable: %v, %v", want, again, err)
		}
	}
}

// faults are rules with the part at fault between « and », and parts of the message.
var faults = map[string]string{
	"«»":                             "the rule is empty; leave it out",
	"« »":                            "the rule is empty",
	"«host»(`a`)":                    "write Host",
	"«Hots»(`a`)":                    "write Host",
	"«Foo»(`a`)":                     "the matchers are Host, HostRegexp",
	"«Headers»(`A`, `b`)":            "write Header(`Name`, `value`)",
	"«HeadersRegexp»(`A`,`b`)":       "write HeaderRegexp",
	"«HostSNI»(`*`)":                 "leave the rule out",
	"«Methods»(`GET`)":               "write Method",
	"«PathStrip»(`/a`)":              "write Path",
	"«IPWhitelist»(`::1`)":           "write ClientIP",
	"Query(`«a=b»`)":                 "write Query(`a`, `b`)",
	"Host«»":                         "found the end of the rule, expected ( after Host; write for example",
	"Host«=»= `a`":                   "expected ( after Host",
	"Host(«)»":                       "found ), expected a string in backquotes or double quotes",
	"Host(«a».com)":                  "found a, expected a string",
	"Host(«'»a')":                    "expected a string in backquotes or double quotes",
	"Host(`a` «`b`»)":                "found `b`, expected , or ) after a string",
	"Host(`a`,«)»":                   "found ), expected a string",
	"Host(`a`«»":                     "found the end of the rule, expected , or )",
	"Host(«`a)»":                     "closing backquote",
	"Host(«\"a)»\n\")":               "closing double quote",
	"Host(\"a«\\w»\")":               "is no escape; write \\\\",
	"Host(`a`) «Host»(`b`)":          "join conditions with && (both) or || (one of them)",
	"Host(`a`) «and» Host(`b`)":      "write && for and",
	"Host(`a`) «&» Host(`b`)":        "write && for and",
	"Host(`a`) «|» Host(`b`)":        "write || for or",
	"Host(`a`) «,» Host(`b`)":        "join conditions",
	"Host(`a`)«)»":                   "found ), expected &&, || or the end of the rule; take this ) out",
	"(Host(`a`)«»":                   "expected &&, || or ); close the parenthesis of \"(Host(`a`)\"",
	"(Host(`a`) «Path»(`/`))":        "expected &&, || or )",
	"Host(`a`) &&«»":                 "found the end of the rule, expected a matcher",
	"«&&» Host(`a`)":                 "found &&, expected a matcher",
	"Host(`a`) && «||» Path":         "a condition on both sides",
	"!«»":                            "found the end of the rule, expected a matcher",
	"«`a`»":                          "put it into a matcher",
	"Host(`a`) && «é»":               "found é, expected a matcher",
	"Host(`«\xff»`)":                 "not valid UTF-8",
	strings.Repeat("(", 100) + "«(»": "more than 100 parentheses",
	strings.Repeat("!", 100) + "«!»": "more than 100 parentheses",

	"Host(`«»`)":               "the host is empty",
	"Host(`a.b`, `«*»`)":       "a bare wildcard is not needed",
	"Host(`a.«*.b»`)":          "whole labels",
	"Host(`«*a.b»`)":           "whole labels",
	"Host(`*.«»`)":             "the host is empty",
	"Host(`«a..b»`)":           "a label of the name is empty",
	"Host(`a«:80»`)":           "without a port; the listener decides",
	"Host(\"\\x61.b«:80»\")":   "without a port",
	"Host(\"\\u00fc.b«:80»\")": "without a port",
	"Host(`«http://»a`)":       "without a scheme",
	"Host(`a«/b»`)":            "write the path with Path",
	"Host(`«a b»`)":            `' ' cannot be part of a host name`,
	"Host(`«a,b»`)":            "several hosts as several strings",
	"Host(`«*.1.2.3.4»`)":      "before an IP address",
	"Host(`«*.::1»`)":          "before an IP address",
	"Host(`«[::1»`)":           "no IPv6 address in brackets",
	"Host(`«[::1]:80»`)":       "without zone and port",
	"Host(`«[fe80::1%eth0]»`)": "without zone",
	"Host(`«256.1.1.1»`)":      "looks like an IPv4 address",
	"Host(`«xn--999999.b»`)":   "encodes no name",
	"Host(`a.«{x:[a-z]+}»`)":   "write HostRegexp",
	"SNI(`«::1»`)":             "sends no SNI",
	"Path(`«»`)":               "write / for the root",
	"Path(`«a»`)":              "write /a",
	"Path(`«^»/a`)":            "write PathRegexp",
	"Path(`«http://a/»`)":      "write the host with Host",
	"PathRegexp(`a«(?=»b)`)":   "lookahead",
	"(Host(`aaaaaaaaaaaaaaaaéaaaaa.example.com`)«»": "aaaaa…",
	"Host(`a`) «" + strings.Repeat("x", 50) + "»":   "found a long word",
	"Host(`a`) «`" + strings.Repeat("x", 50) + "`»": "found a string, expected",
	"Host(`a`) «not» Host(`b`)":                     "write ! for not",
	"Host(`a`) «or» Host(`b`)":                      "write || for or",
	"Method(`«*»`)":                                 "no wildcards",
	"ALPN(`«http/3»`)":                              "write h3",
	"CipherSuiteOnly(`cbc`, `«0x00ff»`)":            "no suite",
	"CipherSuiteOnly(`«0xFAFA»`)":                   "no suite",
	"ClientCert(`«»`)":                              "the identity is empty",
	"ClientCert(\"a«\\n»\")":                        "cannot be part of a name in a certificate",
	"«HostSNIRegexp»(`a`)":                          "write SNIRegexp",
	"SNI(`«a..b»`)":                                 "a label",
	"!«Hst»(`a`)":                                   "write Host",
	"!(«Hst»(`a`))":                                 "write Host",
	"Path(`«/a/..;/b»`)":                            "dot segment with a parameter",
	"Path(`/a«?b»`)":                                "write the query with Query",
	"Path(`/a«#b»`)":                                "do not send",
	"Path(`/«%»`)":                                  "write %25",
	"Path(`/«%»g1`)":                                "write %25",
	"Path(`/a«\\»b`)":                               "write a slash, or %5C",
	"Path(`/a«*»`)":                                 "write PathPrefix or PathRegexp",
	"PathPrefix(`/a/«*»`)":                          "leave the * out",
	"PathPrefix(`/a/«{id}»`)":                       "write PathRegexp",
	"Path(\"/a«\\n»\")":                             "cannot be part of a path",
	"PathRegexp(`/«{id:»[0-9]+}`)":                  "names in braces",
	"Method(`GET«|»POST`)":                          "one method in each string",
	"Method(`G«(»`)":                                "cannot be part of a method",
	"Method(`«»`)":                                  "the method is empty",
	"Header(`«»`)":                                  "the field's name is empty",
	"Header(`A«:» b`)":                              "name and value as two strings",
	"Header(`A`, `« b»`)":                           "white space",
	"Header(`A`, \"b«\\n»b\")":                      "cannot be part of a field's value",
	"HeaderRegexp(«`A`»)":                           "HeaderRegexp has no value",
	"QueryRegexp(`«»`, `a`)":                        "the parameter's name is empty",
	"DestinationPort(`«a»`)":                        "is no port; write for example DestinationPort(`5432`",
	"DestinationPort(`«»`)":                         "is no port",
	"DestinationPort(`«0»`)":                        "from 1 to 65535",
	"DestinationPort(`1-«65536»`)":                  "from 1 to 65535",
	"DestinationPort(`«080»`)":                      "without zeros",
	"DestinationPort(`«9-1»`)":                      "ends before it begins",
	"DestinationPort(`«10:20»`)":                    "write the range with a hyphen: 10-20",
	"DestinationPort(`«:5432»`)":                    "write the port alone: 5432",
	"DestinationPort(`«10.0.0.1:53»`)":              "write the port alone: 53",
	"DestinationPort(`«80,443»`)":                   "as several strings",
	"DestinationPort(`80-«»`)":                      "is no port",
	"DestinationPort(`«*»`)":                        "leave it out to match any port",
	"ClientIP(`«a»`)":                               "is no IP address",
	"ClientIP(`«10.0.0.1:80»`)":                     "leave brackets and port out",
	"ClientIP(`10.0.0.0/«33»`)":                     "from 0 to 32",
	"ClientIP(`10.0.0.0/«08»`)":                     "is no mask",
	"ClientIP(`10.0.0.0/«255.240.0.0»`)":            "10.0.0.0/12",
	"ClientIP(`::ffff:0:0/«90»`)":                   "IPv4 addresses within IPv6",
	"ClientIP(`fe80::1«%eth0»`)":                    "zone",
	"TLSVersion(`«1.4»`)":                           "write 1.0, 1.1, 1.2 or 1.3",
	"CipherSuite(`«AES_128_GCM_SHA256»`)":           "write TLS_AES_128_GCM_SHA256",
	"CipherSuite(`«0x13»`)":                         "four hexadecimal digits",
	"CipherSuite(`«nonsense»`)":                     "IANA registry",
	"ALPN(`«HTTP/2»`)":                              "write h2",
	"ALPN(`«H2»`)":                                  "write h2",
	"ALPN(`«»`)":                                    "1 to 255 bytes",
	"JA4(`«t13d»`)":                                 "36 characters",
	"JA4(`t13«x»1516h2_8daaf6152771_e5627efa2ab1`)": "does not stand there",
}

func TestParseFaults(t *testing.T) {
	for marked, want := range faults {
		at, end := strings.Index(marked, "«"), strings.Index(marked, "»")-len("«")
		text := strings.NewReplacer("«", "", "»", "").Replace(marked)
		e, err := Parse(text)
		var fault *Error
		if !errors.As(err, &fault) {
			t.Errorf("Parse(%s) = %v, %v, want an *Error", text, e, err)
			continue
		}
		if fault.At != at || fault.Len != max(1, end-at) {
			t.Errorf("Parse(%s): fault at %d+%d, want %d+%d (%s)", text, fault.At, fault.Len, at, end-at, fault)
		}
		if !strings.Contains(fault.Error(), want) {
			t.Errorf("Parse(%s): %q, want %q", text, fault, want)
		}
	}
}

func TestParseBounds(t *testing.T) {
	long := "Path(`/" + strings.Repeat("a", MaxLength) + "`)"
	if _, err := Parse(long); err == nil || !strings.Contains(err.Error(), "at most 65536 bytes") {
		t.Errorf("a long rule: %v", err)
	}
	for in, want := range map[string]string{
		"Host(`" + strings.Repeat("a.", 127) + "b`)":        "at most 253 bytes",
		"Host(`" + strings.Repeat("a", 64) + ".b`)":         "at most 63 bytes",
		"Path(`/" + strings.Repeat("é", MaxPath/6+1) + "`)": "at most 8192 bytes",
		"ALPN(`" + strings.Repeat("a", 256) + "`)":          "1 to 255",
	} {
		if _, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", in, err, want)
		}
	}
}
