package record

import (
	"crypto/hkdf"
	"crypto/hmac"
	"hash"
)

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446, section 7.1).
func expandLabel(f family, secret []byte, label string, length int) ([]byte, error) {
	const prefix = "tls13 "
	info := make([]byte, 0, 32)
	info = append(info, byte(length>>8), byte(length), byte(len(prefix)+len(label)))
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, 0)
	return hkdf.Expand(f.hash(), secret, string(info), length)
}

// prf fills out with the pseudorandom function of TLS 1.2 (RFC 5246, section 5).
func prf(newHash func() hash.Hash, out, secret []byte, label string, seed []byte) {
	mac := hmac.New(newHash, secret)
	labelled := append([]byte(label), seed...)
	a := labelled
	for filled := 0; filled < len(out); {
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(nil)

		mac.Reset()
		mac.Write(a)
		mac.Write(labelled)
		block := mac.Sum(nil)
		filled += copy(out[filled:], block)
		clear(block)
	}
	clear(a)
}
