package certs

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestFaults gives bad files, each of which has to be explained.
func TestFaults(t *testing.T) {
	ca := authority(t, nil, "ca")
	leaf := mint(t, ca, nil, []string{"a.example"})
	cert, key := certPEM(leaf), leaf.keyPEM(t)
	csr := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, leaf.signer))(t)
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(leaf.signer))(t)
	public := must(x509.MarshalPKIXPublicKey(leaf.signer.Public()))(t)
	x25519 := must(x509.MarshalPKCS8PrivateKey(must(ecdh.X25519().GenerateKey(rand.Reader))(t)))(t)
	p224 := must(x509.MarshalPKCS8PrivateKey(curveKey(t, elliptic.P224())))(t)
	pfx := must(asn1.Marshal(struct {
		Version int
		Content struct{ ID asn1.ObjectIdentifier }
	}{3, struct{ ID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}}))(t)
	legacy := "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n" +
		"-----END EC PRIVATE KEY-----\n"
	absent := "\x00absent"
	for _, c := range []struct {
		name      string
		cert, key string
		ofKey     bool // the fault is about the key's file
		what, do  string
	}{
		{"no certificate file", absent, key, false, "does not exist", "correct the path"},
		{"no key file", cert, absent, true, "does not exist", "correct the path"},
		{"empty certificate", " \n", key, false, "is empty", "put the certificate there"},
		{"empty key", cert, "", true, "is empty", "put the private key there"},
		{"no PEM", "hello\n", key, false, "no PEM block", "that holds a certificate"},
		{"no PEM in key", cert, "hello\n", true, "no PEM block", "that holds a private key"},
		{"indented", "  " + cert, key, false, "indented", "first column"},
		{"UTF-16", "\xff\xfe-\x00-\x00", key, false, "UTF-16", "UTF-8"},
		{"binary", "\x00\xff\xf0binary", key, false, "binary", "that holds a certificate"},
		{"DER certificate", string(leaf.Raw), key, false, "in DER", "openssl x509 -inform DER"},
		{"DER key", cert, string(pkcs8), true, "in DER", "openssl pkey -inform DER"},
		{"DER request", string(csr), key, false, "request in DER", "certificate authority"},
		{"PKCS#12", string(pfx), key, false, "PKCS#12", "openssl pkcs12 -nodes"},
		{"PKCS#7", pemText("PKCS7", csr), key, false, "PKCS#7", "-print_certs"},
		{"OpenSSL's format", pemText("TRUSTED CERTIFICATE", leaf.Raw), key, false, "OpenSSL's own", "openssl x509 -in"},
		{"request", pemText("CERTIFICATE REQUEST", csr), key, false, "signing request", "certificate authority"},
		{"revocation list", pemText("X509 CRL", csr), key, false, "holds X509 CRL", "that holds a certificate"},
		{"exchanged", key, cert, false, "private key and no certificate", "exchanged?"},
		{"certificate as key", cert, cert, true, "certificate and no private key", "exchanged?"},
		{"public key", cert, pemText("PUBLIC KEY", public), true, "public key only", "private key that belongs"},
		{"encrypted, PKCS#8", cert, pemText("ENCRYPTED PRIVATE KEY", pkcs8), true, "encrypted", "openssl pkey -in"},
		{"encrypted, legacy", cert, legacy, true, "encrypted", "openssl pkey -in"},
		{"two keys", cert, key + key, true, "holds 2 private keys", "leave the one"},
		{"another's key", cert, mint(t, ca, nil, nil).keyPEM(t), false, "does not belong to", "requested with"},
		{"key of X25519", cert, pemText("PRIVATE KEY", x25519), true, "cannot sign", "P-256"},
		{"key on P-224", cert, pemText("PRIVATE KEY", p224), true, "P-224", "P-256"},
		{"key of DSA", cert, pemText("DSA PRIVATE KEY", []byte("x")), true, "TLS does not have (DSA", "P-256"},
		{"key of SSH", cert, pemText("OPENSSH PRIVATE KEY", []byte("openssh-key-v1")), true, "SSH", "was made with"},
		{"malformed key", cert, pemText("PRIVATE KEY", pkcs8[:40]), true, "cannot be used", "P-256"},
		{"malformed certificate", pemText("CERTIFICATE", leaf.Raw[:99]), key, false, "number 1 in it", "again"},
		{"malformed issuer", cert + pemText("CERTIFICATE", ca.Raw[:99]), key, false, "number 2 in it", "again"},
		{"damaged block", cert + strings.Replace(certPEM(ca), "M", "*", 1), key, false, "begins in line", "whole"},
		{"cut off", cert[:len(cert)-9], key, false, "damaged PEM block that begins in line 1", "whole"},
		{"list of authorities", strings.Repeat(cert, maxChain+1), key, false, "17 certificates", "own certificate"},
		{"too large", strings.Repeat("x", maxFile+1), key, false, "larger than 4 MiB", "certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFiles(t)
			certFile, keyFile := f.path("x.crt"), f.path("x.key")
			if c.cert != absent {
				f.put("x.crt", c.cert)
			}
			if c.key != absent {
				f.put("x.key", c.key)
			}
			var s Store
			_, err := s.Load(certFile, keyFile)
			var fault *Fault
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a fault", err)
			}
			t.Log(strings.ReplaceAll(fault.Error(), f.dir+"/", ""))
			if about := map[bool]string{false: certFile, true: keyFile}[c.ofKey]; fault.File != about {
				t.Errorf("it is about %s, want %s", fault.File, about)
			}
			if !strings.Contains(fault.What, c.what) || !strings.Contains(fault.Do, c.do) {
				t.Errorf("it says %q, %q; want %q, %q in it", fault.What, fault.Do, c.what, c.do)
			}
			if strings.Contains(fault.Do, "FILE") || strings.Contains(fault.Error(), "\n") {
				t.Errorf("it is written wrongly: %v", fault)
			}
		})
	}
}

func TestFaultOfSmallRSAKey(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	f := newFiles(t)
	small := mint(t, nil, newRSA(768), []string{"a.example"})
	var s Store
	_, err := s.Load(f.pair("x", small))
	if err == nil || !mentions([]string{err.Error()}, "768 bits", "2048") {
		t.Errorf("got %v", err)
	}
}

func TestFaultOfNoRegularFile(t *testing.T) {
	f := newFiles(t)
	cert, key := f.pair("x", mint(t, nil, nil, []string{"a.example"}))
	if err := syscall.Mkfifo(f.path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	var s Store
	for _, name := range []string{f.dir, f.path("pipe")} {
		if _, err := s.Load(name, key); err == nil || !mentions([]string{err.Error()}, "no regular file") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := os.Chmod(cert, 0); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		return // who may read everything
	}
	if _, err := s.Load(cert, key); err == nil || !mentions([]string{err.Error()}, "may not be read") {
		t.Errorf("unreadable: got %v", err)
	}
}

// TestFaultNamesTheOwner gives a certificate the key of another one beside it.
func TestFaultNamesTheOwner(t *testing.T) {
	f := newFiles(t)
	certA, _ := f.pair("a", mint(t, nil, nil, []string{"a.example"}))
	certB, keyB := f.pair("b", mint(t, nil, nil, []string{"b.example"}))
	f.put("c.crt", "nonsense")
	var s Store
	_, err := s.Load(certA, keyB)
	want := certA + ": does not belong to the key in " + keyB + ", which is that of " + certB
	if err == nil || !mentions([]string{err.Error()}, want) {
		t.Errorf("got %v", err)
	}
}

// TestSecretsStayOut looks for parts of a key in what is said about it.
func TestSecretsStayOut(t *testing.T) {
	f := newFiles(t)
	key := mint(t, nil, nil, nil).keyPEM(t)
	var s Store
	_, err := s.Load(f.put("x.crt", key), f.put("x.key", key[:len(key)-60]))
	for line := range strings.Lines(key) {
		if line = strings.TrimSpace(line); line[0] != '-' && strings.Contains(err.Error(), line[:8]) {
			t.Errorf("the fault shows the key: %v", err)
		}
	}
}
