package config

import (
	"crypto/tls"
	"reflect"
	"strings"
	"testing"
	"time"
)

func everything(t *testing.T) *Config {
	t.Helper()
	c, faults := Load([]string{"testdata/everything.toml"})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return c
}

func listenerOf(t *testing.T, c *Config, name string) *Listener {
	t.Helper()
	for _, l := range c.Listeners {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no listener %s", name)
	return nil
}

func serviceOf(t *testing.T, c *Config, name string) *Service {
	t.Helper()
	for _, s := range c.Services {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no service %s", name)
	return nil
}

// TestEveryTLSKey reads a listener that sets every key of its tls table, and compares all of the result.
func TestEveryTLSKey(t *testing.T) {
	c := everything(t)
	secure := listenerOf(t, c, "secure")
	if want := "max-age=31622400; includeSubDomains; preload"; secure.HSTS != want {
		t.Errorf("hsts: %s", secure.HSTS)
	}
	at := "listeners.secure.tls."
	all := TLSPolicy{
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
		Suites: []uint16{
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		},
		Curves: []tls.CurveID{tls.X25519MLKEM768, tls.CurveP256},
		ALPN:   []string{"http/1.1", "http/1.0"},
		Client: ClientCertificates{Auth: tls.VerifyClientCertIfGiven, CA: []string{"testdata/clients.pem"}},
	}
	wild, api := all, all
	wild.MaxVersion, wild.Suites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}
	wild.ALPN, wild.Client.Auth = nil, tls.NoClientCert
	api.MinVersion, api.Curves = tls.VersionTLS13, []tls.CurveID{tls.X25519}
	api.Client = ClientCertificates{
		Auth: tls.RequireAndVerifyClientCert, CA: []string{"/etc/api.pem", "testdata/api.pem"},
	}
	want := &ListenerTLS{
		Certificates: []Certificate{
			{Path: at + "certificates[0]", Cert: "testdata/tls/a.crt", Key: "/etc/a.key", OCSP: "testdata/tls/a.ocsp"},
			{Path: at + "certificates[1]", Cert: "testdata/b.pem", Key: "testdata/b.pem"},
		},
		Directory: "testdata/more", SelfSigned: true, Default: "www.a.test", Policy: all,
		Names:            []NamedPolicy{{"*.a.test", wild}, {"api.a.test", api}},
		Forward:          ForwardCertificate{Subject: true, SAN: true, Fingerprint: true, Certificate: true},
		HandshakeTimeout: 5 * time.Second,
		Tickets:          Tickets{SecretEnv: "TICKETS", Rotate: 6 * time.Hour},
		Stapling:         StaplingFiles, ECHKeys: "testdata/ech.pem",
	}
	if !reflect.DeepEqual(secure.TLS, want) {
		t.Errorf("tls:\n%+v\nwant\n%+v", secure.TLS, want)
	}
	strict := listenerOf(t, c, "strict")
	want = &ListenerTLS{
		Directory: "/etc/certs", Strict: true, HandshakeTimeout: 10 * time.Second, Stapling: StaplingFiles,
		Tickets: Tickets{Keys: "testdata/tickets", Rotate: 12 * time.Hour},
		Policy:  TLSPolicy{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ALPN: []string{"http/1.1"}},
	}
	if !reflect.DeepEqual(strict.TLS, want) || strict.HSTS != "max-age=1" {
		t.Errorf("tls:\n%+v\nwant\n%+v", strict.TLS, want)
	}
}

func TestEveryUpstreamTLSKey(t *testing.T) {
	c := everything(t)
	safe, unsafe, db := serviceOf(t, c, "safe"), serviceOf(t, c, "unsafe"), serviceOf(t, c, "db")
	want := &ServiceTLS{
		CA: []string{"testdata/ca.pem", "/etc/ca.pem"}, ServerName: "safe.internal",
		Certificate: &Certificate{
			Path: "services.safe.tls.certificate", Cert: "testdata/me.crt", Key: "testdata/me.key",
		},
		MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS13,
	}
	if !reflect.DeepEqual(safe.TLS, want) {
		t.Errorf("%+v", safe.TLS)
	}
	for i, want := range []Endpoint{
		{Host: "10.0.0.4", Port: 443, TLS: true}, {Host: "safe", Port: 8443, TLS: true}, {Host: "10.0.0.5", Port: 80},
	} {
		got := safe.Endpoints[i]
		if got.Host != want.Host || got.Port != want.Port || got.TLS != want.TLS || safe.Stream {
			t.Errorf("%+v", got)
		}
	}
	want = &ServiceTLS{SkipVerify: true, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}
	if !reflect.DeepEqual(unsafe.TLS, want) {
		t.Errorf("%+v", unsafe.TLS)
	}
	if !db.Stream || db.TLS != nil || len(db.Endpoints) != 2 || db.Endpoints[0].TLS {
		t.Errorf("%+v", db)
	}
}

// TestClientCertificates: what is checked follows from the mode and from whether there is an authority, be it that of
// all names of the listener.
func TestClientCertificates(t *testing.T) {
	for _, c := range []struct {
		all, one string
		want     [2]tls.ClientAuthType
	}{
		{``, ``, [2]tls.ClientAuthType{}},
		{`mode = "request"`, ``, [2]tls.ClientAuthType{tls.RequestClientCert, tls.RequestClientCert}},
		{`mode = "require"`, `mode = "none"`, [2]tls.ClientAuthType{tls.RequireAnyClientCert, tls.NoClientCert}},
		{`mode = "require"`, `ca = "b"`, [2]tls.ClientAuthType{
			tls.RequireAnyClientCert, tls.RequireAndVerifyClientCert}},
		{`mode = "request"`, `ca = "b"`, [2]tls.ClientAuthType{tls.RequestClientCert, tls.VerifyClientCertIfGiven}},
		{`ca = "a"`, `mode = "request"`, [2]tls.ClientAuthType{tls.NoClientCert, tls.VerifyClientCertIfGiven}},
		{`ca = "a"`, `mode = "verify"`, [2]tls.ClientAuthType{tls.NoClientCert, tls.RequireAndVerifyClientCert}},
		{"ca = \"a\"\nmode = \"verify\"", ``, [2]tls.ClientAuthType{
			tls.RequireAndVerifyClientCert, tls.RequireAndVerifyClientCert}},
	} {
		text := DefaultText() + "[listeners.s]\naddress = \":1\"\n[listeners.s.tls]\nself_signed = true\n" +
			"[listeners.s.tls.client_certificate]\n" + c.all +
			"\n[listeners.s.tls.names.\"a.test\".client_certificate]\n" + c.one + "\n"
		cfg, faults := Parse("x", []byte(text))
		if len(faults) > 0 {
			t.Errorf("%q, %q: %v", c.all, c.one, faults)
			continue
		}
		o := listenerOf(t, cfg, "s").TLS
		got := [2]tls.ClientAuthType{o.Policy.Client.Auth, o.Names[0].Policy.Client.Auth}
		if got != c.want {
			t.Errorf("%q, %q: %v, want %v", c.all, c.one, got, c.want)
		}
	}
}

// TestTLSChangesItsListener: the tables below a listener belong to it, wherever they stand, and to nothing else.
func TestTLSChangesItsListener(t *testing.T) {
	const head = "[listeners.a]\naddress = \":1\"\n[listeners.a.tls]\nself_signed = true\n"
	const wild = "[listeners.a.tls.names.\"*.x.test\"]\nmin_version = \"1.3\"\n"
	const quoted = "[listeners . \"b\".tls]\nself_signed = true\n"
	rest := "[listeners.b]\naddress = \":2\"\n[routes.r]\nservice = \"s\"\n[services.s]\nendpoints = \"http://10.0.0.1\"\n"
	texts := []string{
		head + wild + quoted + rest,
		head + rest + quoted + wild,                                   // moved
		head + strings.Replace(wild, "1.3", "1.2", 1) + rest + quoted, // a's name changed
		head + quoted + rest,                                          // and went
		head + "[[listeners.a.tls.certificates]]\ncert='c'\nkey='k'\n" + quoted + rest, // a has a certificate
		head + "[[listeners.a.tls.certificates]]\ncert='c'\nkey='k'\n" + rest,
	}
	want := []string{"", "", "a", "a", "a", "b"}
	l := NewLoader()
	var last *Config
	for i, text := range texts {
		c, faults := l.load("x", []revised{{source: newSource("x", text)}})
		if len(faults) > 0 {
			t.Fatal(i, faults)
		}
		whole, faults := Parse("x", []byte(text))
		if len(faults) > 0 || !reflect.DeepEqual(whole.Listeners, c.Listeners) {
			t.Errorf("%d: not what it is alone: %v", i, faults)
		}
		if last != nil {
			changes := c.Changes(last)
			if got := strings.Join(changes.Listeners.Changed, " "); got != want[i] {
				t.Errorf("%d: changed %q, want %q", i, got, want[i])
			}
			if changes.Listeners.Changed = nil; changes.Any() {
				t.Errorf("%d: %+v", i, changes)
			}
		}
		last = c
	}
}

// TestKindsAgreeLater: a service that becomes one for streams is a fault of the route that did not change, and so is
// a listener that becomes plain.
func TestKindsAgreeLater(t *testing.T) {
	const good = "[listeners.a]\naddress = \":1\"\ntls.self_signed = true\n[routes.r]\nservice = \"s\"\n" +
		"[tcp_routes.t]\nlisteners = \"a\"\nservice = \"t\"\n[services.s]\nendpoints = \"http://10.0.0.1\"\n" +
		"[services.t]\nendpoints = \"tcp://10.0.0.1:1\"\n"
	for _, c := range []struct{ old, new, want string }{
		{"http://10.0.0.1", "tcp://10.0.0.1:2", `x:5:11: routes.r.service: found "s", whose endpoints take connections`},
		{"tcp://10.0.0.1:1", "http://10.0.0.1:1", `x:8:11: tcp_routes.t.service: found "t", whose endpoints take requests`},
		{"tls.self_signed = true\n", "\n", `x:7:13: tcp_routes.t.listeners: found "a", which is for plain requests`},
		{"[services.t]", "[services.u]", `x:8:11: tcp_routes.t.service: found "t", which is no service`},
		{"[tcp_routes.t]\nlisteners = \"a\"\nservice = \"t\"\n", "", ""},
	} {
		l := NewLoader()
		if _, faults := l.load("x", []revised{{source: newSource("x", good)}}); len(faults) > 0 {
			t.Fatal(faults)
		}
		text := strings.Replace(good, c.old, c.new, 1)
		_, faults := l.load("x", []revised{{source: newSource("x", text)}})
		if c.want == "" && len(faults) == 0 {
			continue
		}
		if len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.new, faults, c.want)
		}
	}
}

// TestPassthroughAlone: a listener without certificates and a configuration without routes, for streams only.
func TestPassthroughAlone(t *testing.T) {
	c, faults := Parse("x", []byte("[listeners.a]\naddress = \":1\"\n[listeners.a.tls]\n"+
		"[tcp_routes.t]\nservice = \"t\"\n"+
		"[services.t]\nendpoints = \"tcp://10.0.0.1:1\"\n"))
	if len(faults) > 0 || !c.Listeners[0].TLS.Strict || c.Listeners[0].TLS.Certified() || len(c.Routes) > 0 {
		t.Error(faults)
	}
}

// TestPathsOfTLS: a relative path counts from the file that names it.
func TestPathsOfTLS(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"a.toml": DefaultText(),
		"b.toml": "[listeners.s]\naddress = \":1\"\n" +
			"tls = { certificates = { cert = \"c/a.crt\", key = \"../a.key\" } }\n",
	})
	c, faults := Load([]string{dir})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	got := listenerOf(t, c, "s").TLS.Certificates[0]
	want := Certificate{Path: "listeners.s.tls.certificates", Cert: dir + "/c/a.crt"}
	if want.Key = dir[:strings.LastIndexByte(dir, '/')] + "/a.key"; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A value that is longer than any that has a meaning is refused: responses have room for so much.
func TestLongHSTS(t *testing.T) {
	for n, want := range map[int]int{maxHSTS: 0, maxHSTS + 1: 1} {
		var d decoder
		if d.hstsValue("hsts", "max-age=1"+strings.Repeat(";", n-len("max-age=1"))); len(d.faults) != want {
			t.Errorf("%d bytes: %v", n, d.faults)
		}
	}
}

// FuzzHSTS: a value that is taken can stand in a header, and has one age that browsers understand.
func FuzzHSTS(f *testing.F) {
	for _, s := range []string{
		"max-age=1", "max-age=31536000; includeSubDomains; preload", "MAX-AGE=\"0\" ;preload", "max-age=1\r\nX: y",
		"; ;",
		"max-age", "max-age=-1", "max-age=1; max-age=2", "includeSubDomains=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d decoder
		if d.hstsValue("hsts", s); len(d.faults) > 0 {
			return
		}
		if len(s) > maxHSTS {
			t.Errorf("%d bytes are taken", len(s))
		}
		ages := 0
		for part := range strings.SplitSeq(s, ";") {
			name, age, _ := strings.Cut(part, "=")
			if strings.EqualFold(strings.TrimSpace(name), "max-age") {
				ages++
				if age = strings.Trim(age, ` "`); strings.Trim(age, "0123456789") != "" || age == "" {
					t.Errorf("%q: the age %q", s, age)
				}
			}
		}
		if ages != 1 || strings.ContainsAny(s, "\r\n\x00") {
			t.Errorf("%q", s)
		}
	})
}
