package hello

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"
)

var errStop = errors.New("stop here")

// tape is a connection that gives what is on it and keeps what is written.
type tape struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *tape) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *tape) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return nil }
func (c *tape) RemoteAddr() net.Addr             { return nil }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// helloOf is what crypto/tls sends first as a client.
func helloOf(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	conn := &tape{in: bytes.NewReader(nil)}
	if err := tls.Client(conn, c).Handshake(); !errors.Is(err, io.EOF) {
		t.Fatalf("handshake ended with %v", err)
	}
	s := conn.out.Bytes()
	return s[:recordHeader+int(be.Uint16(s[3:]))]
}

// understood is what crypto/tls reads in a stream as a server; nil when it refuses it.
func understood(stream []byte) (info *tls.ClientHelloInfo) {
	c := &tls.Config{MinVersion: tls.VersionTLS10}
	c.GetConfigForClient = func(i *tls.ClientHelloInfo) (*tls.Config, error) {
		info = i
		return nil, errStop
	}
	_ = tls.Server(&tape{in: bytes.NewReader(stream)}, c).HandshakeContext(context.Background())
	return info
}

// compare holds a hello to what crypto/tls says of it. A server name is compared when both take it for one.
func compare(h *Hello, message []byte, info *tls.ClientHelloInfo) error {
	var ids []uint16
	for e := Extensions(h.Extensions.In(message)); len(e) > 0; {
		var id uint16
		id, _, e = e.Next()
		ids = append(ids, id)
	}
	if h.Name == NameHost && string(h.SNI()) != string(bytes.ToLower([]byte(info.ServerName))) {
		return fmt.Errorf("name %q, want %q", h.SNI(), info.ServerName)
	}
	if h.Name == NameNone && info.ServerName != "" {
		return fmt.Errorf("no name, want %q", info.ServerName)
	}
	if got := protocolsOf(h, message); !slices.Equal(got, info.SupportedProtos) {
		return fmt.Errorf("protocols %q, want %q", got, info.SupportedProtos)
	}
	highest := uint16(0)
	for _, v := range info.SupportedVersions {
		if v >= VersionSSL30 && v <= VersionTLS13 {
			highest = max(highest, v)
		}
	}
	if h.Versions.Len > 0 && !slices.Equal(numbersOf(h.Versions, message), info.SupportedVersions) ||
		h.Version != highest && h.Legacy <= VersionTLS12 {
		return fmt.Errorf("versions %x, highest %x, want %x", numbersOf(h.Versions, message), h.Version,
			info.SupportedVersions)
	}
	for what, c := range map[string]struct{ got, want []uint16 }{
		"suites":     {numbersOf(h.Suites, message), info.CipherSuites},
		"groups":     {numbersOf(h.Groups, message), convert(info.SupportedCurves)},
		"schemes":    {numbersOf(h.Schemes, message), convert(info.SignatureSchemes)},
		"extensions": {ids, info.Extensions},
	} {
		if !slices.Equal(c.got, c.want) {
			return fmt.Errorf("%s %x, want %x", what, c.got, c.want)
		}
	}
	if int(h.ExtensionCount) != len(info.Extensions) {
		return fmt.Errorf("%d extensions, want %d", h.ExtensionCount, len(info.Extensions))
	}
	if got, want := ja4(h, message), naiveJA4(h, info); got != want {
		return fmt.Errorf("JA4 %s, want %s", got, want)
	}
	return nil
}

func convert[T ~uint16](from []T) []uint16 {
	to := []uint16{}
	for _, n := range from {
		to = append(to, uint16(n))
	}
	return to
}

// agree reads a stream and compares.
func agree(t testing.TB, stream []byte) (Hello, []byte) {
	t.Helper()
	h, message := mustRead(t, stream)
	info := understood(stream)
	if info == nil {
		t.Fatalf("crypto/tls refuses the hello\n%x", stream)
	}
	if err := compare(&h, message, info); err != nil {
		t.Fatalf("%v\n%x", err, stream)
	}
	return h, message
}

// TestClients compares the hellos of random configurations with what crypto/tls reads in them.
func TestClients(t *testing.T) {
	r := mrand.New(mrand.NewPCG(1, 2))
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, s.ID)
	}
	curves := []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
		tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}
	names := []string{"example.com", "WWW.Example.Com", "a.b.c.d.e", "example.org.", "127.0.0.1", "::1", "localhost"}
	protocols := []string{"h2", "http/1.1", "http/1.0", "acme-tls/1", "x", string(make([]byte, 255))}
	for range 1500 {
		c := &tls.Config{InsecureSkipVerify: true, ServerName: names[r.IntN(len(names))]}
		c.MinVersion = tls.VersionTLS10 + uint16(r.IntN(4))
		c.MaxVersion = c.MinVersion + uint16(r.IntN(int(tls.VersionTLS13-c.MinVersion)+1))
		c.CurvePreferences = pick(r, curves)
		c.CipherSuites = pick(r, suites)
		c.NextProtos = pick(r, protocols)
		c.SessionTicketsDisabled = r.IntN(2) == 0
		if c.MaxVersion < tls.VersionTLS12 && len(c.CipherSuites) > 0 {
			c.CipherSuites = append(c.CipherSuites, tls.TLS_RSA_WITH_AES_128_CBC_SHA)
		}
		if c.MinVersion < tls.VersionTLS13 && len(c.CipherSuites) > 0 {
			c.CipherSuites = append(c.CipherSuites, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)
		}
		if c.MaxVersion < tls.VersionTLS13 && len(c.CurvePreferences) > 0 {
			c.CurvePreferences = append(c.CurvePreferences, tls.CurveP256)
		}
		stream := helloOf(t, c)
		h, message := agree(t, stream)
		if h.Version != c.MaxVersion || h.PSK || h.EarlyData || h.ECH != ECHNone {
			t.Fatalf("version %x, want %x; %+v", h.Version, c.MaxVersion, h)
		}
		for range 3 {
			cut := records(message, 1+r.IntN(len(message)))
			if len(cut) > MaxStream {
				continue
			}
			if again, _ := mustRead(t, cut); again != h {
				t.Fatalf("another result in other records: %+v, want %+v", again, h)
			}
		}
	}
}

// pick chooses some of a list, in any order; often none, which means the default.
func pick[T any](r *mrand.Rand, from []T) []T {
	if r.IntN(3) == 0 {
		return nil
	}
	some := slices.Clone(from)
	r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return some[:1+r.IntN(len(some))]
}

// serverConfig has a new certificate for example.com.
func serverConfig(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"},
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// listen serves handshakes on loopback, and passes on what came first on each connection.
func listen(t testing.TB, server *tls.Config) (address string, hellos <-chan []byte) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 16)
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			k := &keeper{Conn: conn}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			s := tls.Server(k, server)
			if s.Handshake() == nil {
				_, _ = s.Write([]byte("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"))
				_, _ = s.Read(make([]byte, 1024))
			}
			_ = s.Close()
			got <- k.kept
		}
	}()
	return l.Addr().String(), got
}

// keeper keeps the first MaxStream bytes that come.
type keeper struct {
	net.Conn
	kept []byte
}

func (k *keeper) Read(b []byte) (int, error) {
	n, err := k.Conn.Read(b)
	k.kept = append(k.kept, b[:min(n, MaxStream-len(k.kept))]...)
	return n, err
}

// TestResumedClients looks at second connections: with a session ticket in TLS 1.2, with a pre-shared key in 1.3.
func TestResumedClients(t *testing.T) {
	address, hellos := listen(t, serverConfig(t))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for round := range 2 {
			conn, err := tls.Dial("tcp", address, client)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			h, _ := agree(t, <-hellos)
			resumed := round == 1
			if h.Ticket != (resumed && version == tls.VersionTLS12) || !h.Tickets ||
				h.PSK != (resumed && version == tls.VersionTLS13) || conn.ConnectionState().DidResume != resumed {
				t.Errorf("%x, round %d: ticket %v, PSK %v", version, round, h.Ticket, h.PSK)
			}
		}
	}
}

// TestEncryptedHello wants of a client with ECH the outer hello: the public name, and not the one it asks for.
func TestEncryptedHello(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := join([]byte{7}, list(0x0020), vector16(key.PublicKey().Bytes()), vector16(list(1, 1)), []byte{32},
		vector8([]byte("public.example")), list(0))
	configs := vector16(join(list(extEncryptedHello), vector16(body)))
	h, _ := agree(t, helloOf(t, &tls.Config{ServerName: "secret.example", EncryptedClientHelloConfigList: configs,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}))
	if h.ECH != ECHOuter || string(h.SNI()) != "public.example" {
		t.Errorf("ECH %d, name %q", h.ECH, h.SNI())
	}
}

// TestSecondHello reads the hello that follows a HelloRetryRequest, which a client sends in the same connection.
func TestSecondHello(t *testing.T) {
	server := serverConfig(t)
	server.CurvePreferences = []tls.CurveID{tls.CurveP521}
	address, hellos := listen(t, server)
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true,
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP521}})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s := <-hellos
	first, message, n, code := read(s)
	if code != OK {
		t.Fatal(code)
	}
	if group, _, _ := KeyShares(first.KeyShares.In(message)).Next(); group != uint16(tls.X25519) {
		t.Errorf("first key share for group %d", group)
	}
	const dummy = recordHeader + 1 // a change of cipher spec that means nothing (RFC 8446, appendix D.4)
	second, message, _, code := read(s[n+dummy:])
	if code != OK {
		t.Fatalf("%v of %x", code, s[n:])
	}
	if group, _, _ := KeyShares(second.KeyShares.In(message)).Next(); group != uint16(tls.CurveP521) {
		t.Errorf("second key share for group %d", group)
	}
}
