package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// mill makes many certificates with one key.
type mill struct {
	b      *testing.B
	signer *ecdsa.PrivateKey
	key    []byte
	serial int64
}

func newMill(b *testing.B) *mill {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		b.Fatal(err)
	}
	return &mill{b: b, signer: signer, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

func (m *mill) write(path, name string) {
	m.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(m.serial), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, m.signer.Public(), m.signer)
	if err != nil {
		m.b.Fatal(err)
	}
	for suffix, text := range map[string][]byte{
		".crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), ".key": m.key,
	} {
		if err := os.WriteFile(path+suffix, text, 0o600); err != nil {
			m.b.Fatal(err)
		}
	}
}

func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDirectory measures a start with 100,000 certificates in a directory, and reloads with none and one of them
// changed: the whole of what control does, in time and in that of the processor.
func BenchmarkDirectory(b *testing.B) {
	n := 100_000
	if testing.Short() {
		n = 1000
	}
	r, m := newRig(b), newMill(b)
	dir := filepath.Join(filepath.Dir(r.path), "many")
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	path := func(i int) (path, name string) { return filepath.Join(dir, fmt.Sprint(i)), fmt.Sprintf("h%d.test", i) }
	for i := range n {
		m.write(path(i))
	}
	const text = `
[listeners.web]
address = "127.0.0.1:8443"
[listeners.web.tls]
certificate_dir = "many"
[routes.main]
service = "app"
[services.app]
endpoints = ["http://10.0.0.1"]
`
	began, worked := time.Now(), processTime(b)
	r.start(text)
	b.Logf("start: %v, of the processor %v", time.Since(began), processTime(b)-worked)
	for _, change := range []string{"none", "one"} {
		b.Run(change, func(b *testing.B) {
			worked := processTime(b)
			for b.Loop() {
				if change == "one" {
					m.write(path(int(m.serial) % n))
				}
				r.reload(text)
			}
			b.ReportMetric((processTime(b)-worked).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}
