package certs

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"testing"
	"time"
)

// FuzzLoad gives the loader any two files. It answers with a certificate that is whole or with a fault that is, and a
// file that it takes has the blocks that encoding/pem finds in it.
func FuzzLoad(f *testing.F) {
	ca := authority(f, nil, "ca")
	leaf := mint(f, ca, nil, []string{"a.example", "192.0.2.1"})
	cert, private := certPEM(leaf, ca), leaf.keyPEM(f)
	for _, seed := range [][2]string{
		{cert, private}, {private, cert}, {cert + private, cert + private}, {certPEM(ca, leaf), private},
		{string(leaf.Raw), private}, {pemText("PKCS7", nil), pemText("PUBLIC KEY", nil)},
		{"-----BEGIN \n-----BEGIN ", "\xff\xfe"}, {"", "x"},
		{cert, "-----BEGIN EC PRIVATE KEY-----\nDEK-Info: x\n\n-----END EC PRIVATE KEY-----\n"},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, certData, keyData []byte) {
		certs, keys := &file{name: "x.crt", data: certData}, &file{name: "x.key", data: keyData}
		var s Store
		c, fault := s.parse(certs, keys, &owners{dir: ".", files: map[string]string{}})
		if fault != nil {
			if c != nil || fault.File == "" || fault.What == "" || fault.Do == "" {
				t.Errorf("fault %+v", fault)
			}
			return
		}
		n := 0
		for rest := bytes.TrimPrefix(certData, []byte("\ufeff")); ; n++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
		}
		taken := len(certs.certificates) + len(certs.keys) + len(certs.others)
		if n != taken && !bytes.Contains(certData, []byte("PARAMETERS")) {
			t.Errorf("%d blocks, and encoding/pem finds %d", taken, n)
		}
		leaf, err := c.Leaf()
		if err != nil || !(&key{signer: c.TLS.PrivateKey.(crypto.Signer)}).owns(leaf) {
			t.Errorf("leaf %v, %v", leaf, err)
		}
		c.Warnings(time.Now())
		for _, name := range c.Names {
			if _, ok := NewSet([]*Certificate{c}, nil).Find([]byte(name)); !ok && name[0] != '*' {
				t.Errorf("%q is not found", name)
			}
		}
	})
}
