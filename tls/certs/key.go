package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
)

const (
	minRSA    = 1024 // bits; Go signs with no less
	usefulRSA = 2048 // bits; browsers and OpenSSL accept no less
)

// key is a private key, as a handshake signs with it.
type key struct {
	signer crypto.Signer
	kind   Kind
	bits   int // of an RSA key
}

// key takes the private key out of a decoded file.
func (f *file) key() (*key, *Fault) {
	if len(f.keys) == 0 {
		return nil, f.lacksKey()
	}
	if len(f.keys) > 1 {
		return nil, faultf(f.name, "leave the one of this certificate in it", "holds %d private keys", len(f.keys))
	}
	block := f.keys[0]
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, faultf(f.name, "run openssl pkey -in FILE -out NEW.key, which asks for the passphrase, and "+
			"protect NEW.key by its permissions",
			"holds an encrypted private key, and nobody is there to give the passphrase")
	}
	parsed, err := parseKey(block)
	if err != nil {
		return nil, f.unsupported(block.Type, err)
	}
	switch signer := parsed.(type) {
	case *ecdsa.PrivateKey:
		if signer.Curve == elliptic.P224() {
			return nil, faultf(f.name, "make a key on P-256", "holds a key on the curve P-224, which TLS does not have")
		}
		return &key{signer: signer, kind: ECDSA}, nil
	case ed25519.PrivateKey:
		return &key{signer: signer, kind: Ed25519}, nil
	case *rsa.PrivateKey:
		if bits := signer.N.BitLen(); bits >= minRSA {
			return &key{signer: signer, kind: RSA, bits: bits}, nil
		}
		return nil, faultf(f.name, "make a new key of at least 2048 bits, or one on P-256",
			"holds an RSA key of %d bits, which is no protection", signer.N.BitLen())
	}
	return nil, faultf(f.name, "make a key on P-256, or an RSA key", "holds a key that cannot sign (%T)", parsed)
}

// parseKey parses a key by what its label says, and if that fails by what else it may be: some programs write PRIVATE
// KEY over anything. The error is that of the label's form.
func parseKey(block *pem.Block) (any, error) {
	forms := []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	}
	switch block.Type {
	case "RSA PRIVATE KEY":
		forms[0], forms[1] = forms[1], forms[0]
	case "EC PRIVATE KEY":
		forms[0], forms[2] = forms[2], forms[0]
	}
	parsed, first := forms[0](block.Bytes)
	if first == nil {
		return parsed, nil
	}
	for _, form := range forms[1:] {
		if parsed, err := form(block.Bytes); err == nil {
			return parsed, nil
		}
	}
	return nil, first
}

// unsupported is for a key that did not parse.
func (f *file) unsupported(label string, err error) *Fault {
	switch label {
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return faultf(f.name, "make a key on P-256, P-384 or P-521, with Ed25519, or with RSA of at least 2048 bits",
			"holds a private key that cannot be used: %v", err)
	case "OPENSSH PRIVATE KEY":
		return faultf(f.name, "name the key that the certificate was made with", "holds a key of SSH")
	}
	return faultf(f.name, "make a key on P-256, or an RSA key of at least 2048 bits",
		"holds a key of a type that TLS does not have (%s)", label)
}

// owns reports whether the key belongs to a certificate.
func (k *key) owns(leaf *x509.Certificate) bool {
	public, ok := k.signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(leaf.PublicKey)
}
