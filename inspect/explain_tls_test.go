package inspect

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// captured is the first flight of a real client.
func captured(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../tls/hello/testdata/" + name + ".hello")
	if err != nil {
		t.Fatal(err)
	}
	_, digits, _ := strings.Cut(string(b), "--\n")
	stream, ok := fromHex([]byte(digits))
	if !ok {
		t.Fatal(name)
	}
	return stream
}

// secureQuestions are what is asked of testdata/explain/tls.toml; the answer is in a file of that name.
func secureQuestions(t *testing.T) map[string]Question {
	return map[string]Question{
		"tls-shop":     {URL: "https://shop.example.com:8443/"},
		"tls-h2":       {URL: "https://shop.example.com:8443/", TLS: TLS{ALPN: []string{"h2", "http/1.1"}, Version: "1.3"}},
		"tls-redirect": {URL: "http://shop.example.com:8080/x?y"},
		"tls-nowhere":  {URL: "/x?y", Listener: "web"},
		"tls-plain":    {URL: "http://shop.example.com:8443/"},
		"tls-old":      {TLS: TLS{SNI: "old.example.com", Version: "1.3"}, Listener: "secure"},
		"tls-version":  {TLS: TLS{SNI: "api.example.com", Version: "1.2"}, Listener: "secure"},
		"tls-protocol": {TLS: TLS{SNI: "shop.example.com", ALPN: []string{"h2"}}, Listener: "secure"},
		"tls-mesh": {URL: "https://api.example.com:8443/", TLS: TLS{
			ClientCert: []string{"spiffe://example.com/billing", "api"},
		}},
		"tls-nobody":     {URL: "https://api.example.com:8443/"},
		"tls-misdirect":  {URL: "https://api.example.com:8443/", TLS: TLS{SNI: "shop.example.com"}},
		"tls-chromium":   {TLS: TLS{Hello: captured(t, "chromium")}, Listener: "secure"},
		"tls-weak":       {TLS: TLS{Hello: captured(t, "openssl-weak")}, Listener: "secure"},
		"tls-incomplete": {TLS: TLS{Hello: captured(t, "curl")[:100]}, Listener: "secure"},
		"tls-stream":     {TLS: TLS{SNI: "db-1.db.example.com"}, ClientIP: "10.1.2.3", Listener: "secure"},
		"tls-pass":       {TLS: TLS{SNI: "what.example.org"}, Listener: "pass", Routes: []string{"db", "rest"}},
		"tls-http":       {TLS: TLS{Hello: []byte("GET / HTTP/1.1\r\n\r\n")}, Listener: "secure"},
	}
}

func TestExplainTLS(t *testing.T) {
	c := load(t, "testdata/explain/tls.toml")
	for name, q := range secureQuestions(t) {
		r, err := Explain(c, &q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden(t, "testdata/explain/"+name+".txt", r.Text())
	}
}

func TestExplainTLSJSON(t *testing.T) {
	q := secureQuestions(t)["tls-stream"]
	r, err := Explain(load(t, "testdata/explain/tls.toml"), &q)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/explain/tls-stream.json", string(text)+"\n")
}

// TestFormsOfHello: records, the message alone, and either in digits are the same hello.
func TestFormsOfHello(t *testing.T) {
	c := load(t, "testdata/explain/tls.toml")
	records := captured(t, "chromium")
	message := records[5 : 5+int(records[3])<<8+int(records[4])]
	split := bytes.Join([][]byte{{22, 3, 1, 0, 9}, message[:9], {22, 3, 1, byte((len(message) - 9) >> 8),
		byte(len(message) - 9)}, message[9:]}, nil)
	digits := hex.EncodeToString(records)
	var want string
	for i, form := range [][]byte{
		records, message, split, []byte(digits), []byte(hex.EncodeToString(message) + "\n"),
		[]byte("0x" + strings.ToUpper(digits[:64]) + "\r\n  " + digits[64:]),
		[]byte(strings.TrimSuffix(strings.Join(slices.Collect(pairs(digits)), ":"), ":")),
	} {
		r, err := Explain(c, &Question{TLS: TLS{Hello: form}, Listener: "secure"})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = r.Text()
		}
		if r.Hello.JA4 == "" || r.Text() != want {
			t.Errorf("form %d: %s", i, r.Text())
		}
	}
}

// pairs are the digits of one byte after the other.
func pairs(digits string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(digits) && yield(digits[i:i+2]); i += 2 {
		}
	}
}

// issue writes a certificate for names, and its key, into a file.
func issue(t *testing.T, file string, key any, names ...string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	public := any(nil)
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		public = k.Public()
	case *rsa.PrivateKey:
		public = k.Public()
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// withFiles is a configuration with an ECDSA and an RSA certificate for a name, and a wildcard.
func withFiles(t *testing.T, more string) *config.Config {
	t.Helper()
	t.Chdir(t.TempDir())
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issue(t, "ec.pem", ec, "a.example.com")
	issue(t, "rsa.pem", old, "a.example.com")
	issue(t, "wild.pem", ec, "*.example.com", "example.com")
	return parse(t, "[listeners.web]\naddress = \":443\"\n[listeners.web.tls]\ncertificates = ["+
		"{cert = \"ec.pem\", key = \"ec.pem\"}, {cert = \"rsa.pem\", key = \"rsa.pem\"},"+
		"{cert = \"wild.pem\", key = \"wild.pem\"}]\n"+more+"[routes.all]\nservice = \"app\"\n"+
		"[services.app]\nendpoints = \"http://10.0.0.1\"\n")
}

// TestCertificateShown: by name, by wildcard, by default, by what the client can verify, and none where it is strict.
func TestCertificateShown(t *testing.T) {
	chromium, modern := captured(t, "chromium"), withFiles(t, "default = \"example.com\"\n")
	for _, tt := range []struct {
		tls    TLS
		source string
		other  bool
	}{
		{TLS{SNI: "a.example.com"}, "ec.pem", false}, {TLS{SNI: "b.example.com"}, "wild.pem", false},
		{TLS{SNI: "example.org"}, "wild.pem", true}, {TLS{Version: "1.3"}, "wild.pem", true},
		{TLS{Hello: chromium}, "wild.pem", false},
	} {
		r, err := Explain(modern, &Question{TLS: tt.tls})
		if err != nil || r.TLS == nil || r.TLS.Certificate == nil || r.TLS.Certificate.Source != tt.source ||
			r.TLS.Certificate.Default != tt.other {
			t.Errorf("%+v: %v, %+v, want %s", tt.tls.SNI, err, r, tt.source)
		}
	}
	rsaOnly := hello12(t, "a.example.com", 0xc02f, 0x0804)
	r, err := Explain(modern, &Question{TLS: TLS{Hello: rsaOnly}})
	if err != nil || r.TLS.Certificate.Source != "rsa.pem" {
		t.Errorf("a client without ECDSA: %v %s", err, r.Text())
	}
	strict := withFiles(t, "strict = true\n")
	r, err = Explain(strict, &Question{TLS: TLS{SNI: "example.org"}})
	if err != nil || !strings.Contains(r.Reason, "no certificate is for the server name example.org") {
		t.Errorf("strict: %v %+v", err, r)
	}
	if err := os.Remove("rsa.pem"); err != nil {
		t.Fatal(err)
	}
	r, err = Explain(strict, &Question{TLS: TLS{SNI: "a.example.com"}})
	noted := strings.Contains(strings.Join(r.Notes, "\n"), "left out")
	if err != nil || r.TLS.Certificate.Source != "ec.pem" || !noted {
		t.Errorf("a file that is missing: %v %+v", err, r)
	}
}

// hello12 is a hello of TLS 1.2 with one suite and one signature scheme.
func hello12(t *testing.T, name string, suite, scheme uint16) []byte {
	t.Helper()
	two := func(n int) []byte { return []byte{byte(n >> 8), byte(n)} }
	ext := func(id int, content ...byte) []byte { return slices.Concat(two(id), two(len(content)), content) }
	exts := slices.Concat(ext(0, slices.Concat(two(len(name)+3), []byte{0}, two(len(name)), []byte(name))...),
		ext(10, 0, 2, 0, 23), ext(13, 0, 2, byte(scheme>>8), byte(scheme)))
	body := slices.Concat([]byte{3, 3}, make([]byte, 32), []byte{0, 0, 2, byte(suite >> 8), byte(suite), 1, 0},
		two(len(exts)), exts)
	return slices.Concat([]byte{1, 0}, two(len(body)), body)
}

// TestRunning: a process answers from what it has at hand.
func TestRunning(t *testing.T) {
	c := load(t, "testdata/explain/tls.toml")
	own, err := certs.SelfSigned("shop.example.com")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	running := Running{
		Route: func(listener string, streams bool, r *routing.Request) string {
			asked++
			if string(r.TLS.SNI) != "shop.example.com" || listener != "secure" {
				t.Errorf("%s: %+v", listener, r.TLS)
			}
			return map[bool]string{false: "shop"}[streams]
		},
		Certificates: func(string) *certs.Set { return certs.NewSet([]*certs.Certificate{own}, nil) },
	}
	q := secureQuestions(t)["tls-shop"]
	r, err := ExplainRunning(c, &q, running)
	if err != nil || asked != 2 || r.Winner.Route != "shop" || r.TLS.Certificate.Default {
		t.Errorf("%v: %d times, %+v", err, asked, r)
	}
	running.Route = func(string, bool, *routing.Request) string { return "db" }
	if _, err = ExplainRunning(c, &q, running); err == nil || !strings.Contains(err.Error(), "disagree") {
		t.Errorf("tables that say something else: %v", err)
	}
}

// TestBadHellos: questions about TLS that make no sense.
func TestBadHellos(t *testing.T) {
	c := load(t, "testdata/explain/tls.toml")
	for _, tt := range []struct {
		q    Question
		want string
	}{
		{Question{TLS: TLS{Hello: []byte{1}, SNI: "a.b"}}, "read ClientHello: it says everything itself"},
		{Question{TLS: TLS{ClientCert: []string{"a\n"}}}, "read name of client certificate"},
		{Question{TLS: TLS{Hello: []byte("16030g")}, Listener: "secure"}, "what is there are no TLS records"},
		{Question{TLS: TLS{SNI: "a.b"}}, "find listener: the URL does not tell which"},
		{Question{Listener: "secure"}, `read URL "": it is empty`},
	} {
		if _, err := Explain(c, &tt.q); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.q, err, tt.want)
		}
	}
}

// FuzzClientHello: whatever is given as a ClientHello, there is a report or a reason, and what it says is printable.
func FuzzClientHello(f *testing.F) {
	c, faults := config.Parse("my.toml", []byte("[listeners.web]\naddress = \":1\"\ntls = {}\n[tcp_routes.rest]\n"+
		"service = \"app\"\n[tcp_routes.some]\nalpn = \"x\"\nservice = \"app\"\n"+
		"[services.app]\nendpoints = \"tcp://10.0.0.1:1\"\n"))
	if len(faults) > 0 {
		f.Fatal(faults)
	}
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add([]byte("16 03 01 00 05 01 00 00 01 03"))
	f.Add([]byte{22, 3, 1, 0, 1, 1})
	for _, name := range []string{"chromium", "openssl-weak", "python"} {
		b, err := os.ReadFile("../tls/hello/testdata/" + name + ".hello")
		if err != nil {
			f.Fatal(err)
		}
		_, digits, _ := strings.Cut(string(b), "--\n")
		f.Add([]byte(digits))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Explain(c, &Question{TLS: TLS{Hello: b}})
		if len(b) == 0 || err != nil {
			return
		}
		if (r.Reason == "") != (r.Streams != nil && r.Streams.Winner != nil) {
			t.Errorf("%q: neither refused nor passed through", r.Reason)
		}
		if strings.ContainsFunc(r.Text(), func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }) {
			t.Errorf("not printable: %q", r.Text())
		}
	})
}
