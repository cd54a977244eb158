package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// ivLen is the length of every nonce.
const ivLen = 12

// form is how a record looks.
type form uint8

const (
	form13    form = iota // the content type is sealed in; nothing of the nonce is sent
	form12GCM             // half of the nonce is sent
	form12XOR             // nothing of the nonce is sent (RFC 7905)
)

// before is what precedes the plaintext in a record, after what follows it.
func (f form) before() int {
	if f == form12GCM {
		return headerLen + explicitLen
	}
	return headerLen
}

func (f form) after() int {
	if f == form13 {
		return typeLen + tagLen
	}
	return tagLen
}

// family is what cipher suites have in common for a record layer.
type family uint8

const (
	aes128 family = iota
	aes256
	chacha
)

func (f family) keyLen() int {
	if f == aes128 {
		return 16
	}
	return 32
}

// hash is the suite's hash function, which derives its keys.
func (f family) hash() func() hash.Hash {
	if f == aes256 {
		return sha512.New384
	}
	return sha256.New
}

func (f family) hashLen() int {
	if f == aes256 {
		return sha512.Size384
	}
	return sha256.Size
}

// newAEAD makes the cipher. It fails where the build allows no AEAD with nonces of the caller's (FIPS 140-only mode).
func (f family) newAEAD(key []byte) (cipher.AEAD, error) {
	if f == chacha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// family13 looks a TLS 1.3 suite up by its number (RFC 8446, appendix B.4).
func family13(suite uint16) (family, error) {
	switch suite {
	case 0x1301:
		return aes128, nil
	case 0x1302:
		return aes256, nil
	case 0x1303:
		return chacha, nil
	}
	return 0, fmt.Errorf("derive TLS 1.3 keys: cipher suite %#04x: only the AES-GCM and ChaCha20-Poly1305 suites "+
		"have a record layer here", suite)
}

// family12 looks a TLS 1.2 suite up: ECDHE with ECDSA or RSA (RFC 5289, section 3.2; RFC 7905, section 2).
func family12(suite uint16) (family, error) {
	switch suite {
	case 0xc02b, 0xc02f:
		return aes128, nil
	case 0xc02c, 0xc030:
		return aes256, nil
	case 0xcca8, 0xcca9:
		return chacha, nil
	}
	return 0, fmt.Errorf("derive TLS 1.2 keys: cipher suite %#04x: only ECDHE with AES-GCM or ChaCha20-Poly1305 "+
		"has a record layer here", suite)
}
