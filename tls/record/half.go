package record

import (
	"crypto/cipher"
	"encoding/binary"
	"math"

	"github.com/uringproxy/uringproxy/internal/invariant"
	"github.com/uringproxy/uringproxy/tls/alert"
)

const (
	secretLen = 48 // of the longest traffic secret
	aadLen    = 13
	keyLenMax = 32 // of the longest key

	_ = uint(secretLen - keyLenMax - aadLen)
)

// Half is one direction of a connection: its key and how far it has been used.
type Half struct {
	aead cipher.AEAD
	seq  uint64 // the number of the next record under this key
	id   uint64 // names the key to the witness, in builds with the tag invariant

	// low is the part of the IV that the sequence number is XORed into (RFC 8446, section 5.3). For TLS 1.2 AES-GCM
	// it is zero: there the sequence number itself is that part of the nonce, and is sent along.
	low uint64

	// What goes to the AEAD through its interface would escape from a stack, so it lies here. The first four bytes of
	// nonce are the IV's, for good.
	nonce [ivLen]byte

	// secret is in TLS 1.3 the traffic secret, from which key and next secret are derived. In TLS 1.2 it is the key,
	// and behind it what is sealed beside a record and not sent: sequence number, type, version, length of the data.
	secret  [secretLen]byte
	updates uint32
	parked  bool
	form    form
	family  family
}

// rekey installs a key and its IV, and starts counting at 0. For AES-GCM in TLS 1.2 the IV has four bytes.
func (h *Half) rekey(key, iv []byte) error {
	aead, err := h.family.newAEAD(key)
	if err != nil {
		return err
	}
	h.aead, h.seq, h.low, h.parked = aead, 0, 0, false
	if h.form != form13 {
		copy(h.secret[:], key)
	}
	binary.BigEndian.PutUint32(h.nonce[:], binary.BigEndian.Uint32(iv))
	if len(iv) == ivLen {
		h.low = binary.BigEndian.Uint64(iv[4:])
	}
	if invariant.Enabled {
		h.id = identify(key, iv)
	}
	return nil
}

// install derives key and IV of a TLS 1.3 traffic secret (RFC 8446, section 7.3) and keeps the secret.
func (h *Half) install(secret []byte) error {
	key, err := expandLabel(h.family, secret, "key", h.family.keyLen())
	if err != nil {
		return err
	}
	iv, err := expandLabel(h.family, secret, "iv", ivLen)
	if err != nil {
		return err
	}
	err = h.rekey(key, iv)
	clear(key)
	clear(iv)
	if err != nil {
		return err
	}
	clear(h.secret[:])
	copy(h.secret[:], secret)
	return nil
}

// park lets the cipher go; what it is made of stays. It reports whether there was one.
func (h *Half) park() bool {
	if h.aead == nil {
		return false
	}
	h.aead, h.parked = nil, true
	return true
}

// unpark makes the cipher anew. It allocates.
func (h *Half) unpark() bool {
	if !h.parked {
		return false
	}
	key := h.secret[:h.family.keyLen()]
	if h.form == form13 {
		var err error
		if key, err = expandLabel(h.family, h.secret[:h.family.hashLen()], "key", len(key)); err != nil {
			return false
		}
	}
	aead, err := h.family.newAEAD(key)
	if h.form == form13 {
		clear(key)
	}
	if err != nil {
		return false
	}
	h.aead, h.parked = aead, false
	return true
}

// update goes on to the next traffic secret (RFC 8446, section 7.2) and forgets this one. It allocates.
func (h *Half) update() error {
	n := h.family.hashLen()
	next, err := expandLabel(h.family, h.secret[:n], "traffic upd", n)
	if err != nil {
		return err
	}
	err = h.install(next)
	clear(next)
	h.updates++
	return err
}

func (h *Half) wipe() { *h = Half{form: h.form, family: h.family} }

// spent reports whether there is no key, or fewer than n sequence numbers are left. They must not wrap (RFC 8446,
// section 5.3).
func (h *Half) spent(n int) bool {
	return h.aead == nil && !h.unpark() || h.seq > math.MaxUint64-uint64(n)
}

// setNonce makes the nonce of the next record; TLS 1.2 AES-GCM takes the part that the sender sent.
func (h *Half) setNonce(part uint64) { binary.BigEndian.PutUint64(h.nonce[4:], h.low^part) }

// aad12 is the additional data of a TLS 1.2 record (RFC 5246, section 6.2.3.3).
func (h *Half) aad12(typ, major, minor byte, plain int) []byte {
	aad := h.secret[secretLen-aadLen:]
	binary.BigEndian.PutUint64(aad, h.seq)
	aad[8], aad[9], aad[10] = typ, major, minor
	binary.BigEndian.PutUint16(aad[11:], uint16(plain))
	return aad
}

// seal makes a record of the n bytes at b[at:], in place, and returns where it begins and ends. There must be
// form.before bytes in front, form.after behind, and a sequence number left.
func (h *Half) seal(b []byte, at, n int, typ contentType) (start, end int) {
	start, end = at-h.form.before(), at+n+h.form.after()
	b = b[:end:end]
	if invariant.Enabled {
		witness(h.id, h.seq)
	}
	header := b[start : start+headerLen : start+headerLen]
	header[0], header[1], header[2] = byte(typ), 3, 3
	binary.BigEndian.PutUint16(header[3:], uint16(end-start-headerLen))
	var aad []byte
	if h.form == form13 {
		header[0] = byte(typeData)
		b[at+n] = byte(typ)
		n++
		aad = header
	} else {
		if h.form == form12GCM {
			binary.BigEndian.PutUint64(b[at-explicitLen:], h.seq)
		}
		aad = h.aad12(byte(typ), 3, 3, n)
	}
	h.setNonce(h.seq)
	h.aead.Seal(b[at:at], h.nonce[:], b[at:at+n], aad)
	h.seq++
	return start, end
}

// admit judges a header as soon as it is there: no record that is refused here need be waited for.
func (h *Half) admit(header []byte) alert.Alert {
	if h.form == form13 && contentType(header[0]) != typeData {
		return alert.UnexpectedMessage // change_cipher_spec too: both Finished messages have been seen
	}
	if bodyLen(header) > h.form.before()-headerLen+MaxPlaintext+h.form.after() {
		return alert.RecordOverflow
	}
	return none
}

func bodyLen(header []byte) int { return int(binary.BigEndian.Uint16(header[3:])) }

// open opens a whole record in place: the plaintext is rec[at:at+n]. After a fault the record's bytes are worthless,
// and the sequence number is what it was.
func (h *Half) open(rec []byte) (at, n int, typ contentType, fault alert.Alert) {
	at = h.form.before()
	if len(rec) < at+tagLen {
		return 0, 0, 0, alert.BadRecordMAC
	}
	if h.spent(1) {
		return 0, 0, 0, alert.InternalError
	}
	header := rec[:headerLen:headerLen]
	typ, n = contentType(header[0]), len(rec)-at-tagLen
	aad := header
	part := h.seq
	if h.form != form13 {
		aad = h.aad12(header[0], header[1], header[2], n)
	}
	if h.form == form12GCM {
		part = binary.BigEndian.Uint64(rec[headerLen:])
	}
	h.setNonce(part)
	if _, err := h.aead.Open(rec[at:at], h.nonce[:], rec[at:], aad); err != nil {
		return 0, 0, 0, alert.BadRecordMAC
	}
	h.seq++
	if h.form == form13 {
		n = lastNonZero(rec[at : at+n])
		if n < 0 {
			return 0, 0, 0, alert.UnexpectedMessage
		}
		typ = contentType(rec[at+n])
	}
	return at, n, typ, none
}

// lastNonZero is the index of the last byte of p that is not zero, -1 if there is none: behind it is the padding of a
// TLS 1.3 record (RFC 8446, section 5.4).
func lastNonZero(p []byte) int {
	n := len(p)
	for n >= 8 && binary.LittleEndian.Uint64(p[n-8:]) == 0 {
		n -= 8
	}
	for n > 0 && p[n-1] == 0 {
		n--
	}
	return n - 1
}
