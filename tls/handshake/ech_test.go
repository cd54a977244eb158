package handshake

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
)

// echConfig is a configuration for a key (RFC 9849, section 4), with AES-128-GCM and SHA-256.
func echConfig(key *ecdh.PrivateKey, number byte, public string) []byte {
	kem := uint16(0x20) // of X25519, with HKDF-SHA256
	if key.Curve() == ecdh.P256() {
		kem = 0x10
	}
	body := binary.BigEndian.AppendUint16([]byte{number}, kem)
	body = binary.BigEndian.AppendUint16(body, uint16(len(key.PublicKey().Bytes())))
	body = append(body, key.PublicKey().Bytes()...)
	body = append(body, 0, 4, 0, 1, 0, 1) // one pair of KDF and AEAD
	body = append(body, 32, byte(len(public)))
	body = append(append(body, public...), 0, 0)
	return append([]byte{echVersion >> 8, echVersion & 0xff, byte(len(body) >> 8), byte(len(body))}, body...)
}

func echList(configs ...[]byte) []byte {
	list := []byte{0, 0}
	for _, c := range configs {
		list = append(list, c...)
	}
	binary.BigEndian.PutUint16(list, uint16(len(list)-2))
	return list
}

// changed is b with other bytes from at on.
func changed(b []byte, at int, to ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], to)
	return b
}

// echFile is key and configurations as RFC 9934 has them.
func echFile(t testing.TB, key *ecdh.PrivateKey, list []byte) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: pemConfigs, Bytes: list})...)
}

func echKey(t testing.TB, curve ecdh.Curve) *ecdh.PrivateKey {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestECH encrypts hellos: with the server's key, with an old one and with one that it does not have.
func TestECH(t *testing.T) {
	current, old, unknown := echKey(t, ecdh.X25519()), echKey(t, ecdh.P256()), echKey(t, ecdh.X25519())
	currentList := echList(echConfig(current, 1, "example.net"))
	file := append(echFile(t, current, currentList), echFile(t, old, echList(echConfig(old, 2, "example.net")))...)
	keys, err := ParseECHKeys(file)
	if err != nil || len(keys) != 2 || !keys[0].SendAsRetry || keys[1].SendAsRetry {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	forModes(t, func(t *testing.T, b *bench) {
		server := newServer(t, ServerOptions{
			ECH: keys, Tickets: RandomTickets(),
			Named: []NamedPolicy{{[]string{"www.example.com"}, Policy{Name: "inner", MinVersion: tls.VersionTLS13}}},
		})
		for _, list := range [][]byte{currentList, echList(echConfig(old, 2, "example.net"))} {
			config := theWorld().client()
			config.MinVersion, config.EncryptedClientHelloConfigList = tls.VersionTLS13, list
			for _, resumed := range []bool{false, true} {
				s, done := b.serve(server, config, chat)
				s.chunk = 1
				o := s.answer(done)
				if !o.ECH || o.SNI != "www.example.com" || o.Policy != 1 || o.Resumed != resumed {
					t.Errorf("outcome %+v", o)
				}
			}
		}
		config := theWorld().client()
		config.MinVersion = tls.VersionTLS13
		config.EncryptedClientHelloConfigList = echList(echConfig(unknown, 1, "example.net"))
		s, done := b.serve(server, config, heard)
		s.settled()
		s.until("the client gives up", func() bool { return len(done) > 0 })
		err := s.end(done)
		var rejected *tls.ECHRejectionError
		if !errors.As(err, &rejected) || string(rejected.RetryConfigList) != string(currentList) {
			t.Errorf("client: %v", err)
		}
	})
}

func TestParseECHKeys(t *testing.T) {
	key, other := echKey(t, ecdh.X25519()), echKey(t, ecdh.X25519())
	list := echList(echConfig(key, 1, "example.net"))
	good := echFile(t, key, list)
	grease := append([]byte{0xfe, 0x99, 0, 2, 1, 1}, echConfig(key, 1, "example.net")...)
	if keys, err := ParseECHKeys(echFile(t, key, echList(grease))); err != nil || len(keys) != 1 {
		t.Errorf("with a configuration of another version: %d keys, %v", len(keys), err)
	}
	only := string(good[:strings.Index(string(good), "-----BEGIN ECHCONFIG")])
	for what, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "are needed"},
		"no config":       {only, "are needed"},
		"two keys":        {only + only, "out of place"},
		"config first":    {string(good[len(only):]), "out of place"},
		"other key":       {string(echFile(t, other, list)), "another public key"},
		"cut":             {string(echFile(t, key, list[:len(list)-1])), "no list"},
		"cut within":      {string(echFile(t, key, echList(list[2:9]))), "no list"},
		"empty list":      {string(echFile(t, key, echList())), "no configuration"},
		"certificate":     {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "out of place"},
		"key that is not": {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "parse PRIVATE KEY"},
		// With these, whose lengths are right, crypto/tls refuses every browser.
		"other KEM":     {string(echFile(t, key, echList(changed(list[2:], 5, 0x00, 0x12)))), "cannot be used"},
		"no such pair":  {string(echFile(t, key, echList(changed(list[2:], 43, 0x7f, 0xff)))), "cannot be used"},
		"name too long": {string(echFile(t, key, echList(changed(list[2:], len(list)-2-2-12, 200)))), "cannot be used"},
		"bad name":      {string(echFile(t, key, echList(echConfig(key, 1, "a b")))), "cannot be used"},
	} {
		if _, err := ParseECHKeys([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", what, err, c.want)
		}
	}
}
