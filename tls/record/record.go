// Package record is the record layer of TLS 1.3 (RFC 8446, section 5) and of TLS 1.2 with its AEAD suites (RFC 5246,
// section 6.2.3.3), for connections whose handshake crypto/tls has finished elsewhere.
//
// It owns the traffic keys of a connection, its sequence numbers, and what a record may say after the handshake: data,
// alerts, key updates, tickets. It works in place, on bytes that the caller has received or is about to send; it knows
// no socket, no clock and no buffer pool.
//
// # Receiving
//
// Layer.Open is given the received bytes from a record's first one on, in one piece, as many as there are. It takes one
// record and says what came of it; the plaintext of data lies where its ciphertext lay. When it answers NeedMore, the
// record goes on in bytes that are not there. If they will arrive in another buffer, the caller gathers that
// one record, with Gather, in memory of MaxRecord bytes, gives it to Open, and goes on behind it where the bytes
// arrived:
//
//	for {
//		r := layer.Open(b)
//		if r.Kind == record.NeedMore {
//			break // b is the beginning of a record: gather it, or receive more behind it
//		}
//		b = b[r.N:]
//	}
//
// Back-pressure is not calling Open. Nothing is kept here, so a connection that stands still holds the buffers of
// plain text and, at most, one gathered record.
//
// # Sending
//
// Layer.Seal seals in place what lies in one buffer with room around it, Layer.SealTo seals pieces that lie anywhere
// into another buffer. Both put a key update that is due before the data. Layer.Alert says the last word.
//
// # Invariants
//
//   - A pair of key and nonce is sealed with once. Sequence numbers only grow, they start behind the last
//     one that crypto/tls used, and a Layer takes its Keys away from whoever made them. Builds with the tag invariant
//     hold every sealed record against all that the process sealed before.
//   - No plaintext is yielded that the peer did not seal, in its order, without a gap.
//   - The first fault, alert or close_notify received is the last thing that Open reports.
//   - Open, Seal, SealTo and Alert allocate nothing. A key update does (some hundred bytes), and is bounded: no more
//     than idleRecords may come without data between them. So does what comes first after Park.
//   - A Layer holds pointers, to its ciphers: it lives in Go's memory, never in an arena.
//
// It may import internal/invariant, tls/alert, the standard library's cryptography and golang.org/x/crypto, and is
// imported by the handshake, which makes Keys, and by the proxy.
package record

import "github.com/uringproxy/uringproxy/tls/alert"

const (
	headerLen   = 5  // type, version, length
	explicitLen = 8  // the part of a TLS 1.2 AES-GCM nonce that is sent along (RFC 5288, section 3)
	tagLen      = 16 // of all our AEADs
	typeLen     = 1  // the content type behind a TLS 1.3 plaintext (RFC 8446, section 5.2)
)

const (
	// MaxPlaintext is the most data that one record carries.
	MaxPlaintext = 1 << 14

	// MaxRecord is the length of the longest record, header included, that Open accepts. RFC 8446, section 5.2, has a
	// larger bound for ciphertext, but no plaintext that is allowed needs it: our AEADs add no more than this.
	MaxRecord = headerLen + explicitLen + MaxPlaintext + tagLen

	// Headroom is the most that Seal writes before the plaintext of one record.
	Headroom = headerLen + explicitLen

	// Tailroom is the most that Seal writes behind it.
	Tailroom = typeLen + tagLen

	// ControlRoom is the most that Alert appends, and the most that a key update adds to what Seal and SealTo write.
	ControlRoom = Headroom + 5 + Tailroom
)

// contentType is RFC 8446, appendix B.1.
type contentType uint8

const (
	typeChangeCipherSpec contentType = 20
	typeAlert            contentType = 21
	typeHandshake        contentType = 22
	typeData             contentType = 23
)

// none stands for "no fault" where a function answers with the alert to send: close_notify is no fault.
const none = alert.CloseNotify

// Layer is the record layer of one connection, both directions. It must not be copied after Start, and is used by one
// thread at a time.
type Layer struct {
	read, write Half

	message message // the handshake message received whose end has not come
	sent    int64   // bytes of data sealed since the connection was last idle
	last    int64   // when data was sealed last

	final  Kind        // what ended opening; NeedMore until then
	why    alert.Alert // of final
	idle   uint8       // records received without data, in a row
	owed   bool        // the peer has asked for a key update
	ended  bool        // an alert was sealed: nothing may follow
	client bool
}

// Start takes the keys over: k is empty afterwards. What the Layer was before is forgotten.
func (l *Layer) Start(k *Keys) {
	*l = Layer{read: k.read, write: k.write, client: k.client}
	*k = Keys{}
}

// Park lets the ciphers go, which are most of what a connection holds, until there is something to open or to seal: for
// connections that have long been idle. To make them anew takes some microseconds, and allocates. It reports whether
// there were any.
func (l *Layer) Park() bool {
	read, write := l.read.park(), l.write.park()
	return read || write
}

// Wipe overwrites the connection's secrets and lets its ciphers go. Afterwards Open reports a fault and the sealing
// methods refuse.
func (l *Layer) Wipe() {
	l.read.wipe()
	l.write.wipe()
	l.ended = true
	l.fail(alert.InternalError)
}

// PeerClosed reports whether the peer has sent its close_notify. Without it, an end of stream is a truncation (RFC
// 8446, section 6.1), whether it comes within a record or between two.
func (l *Layer) PeerClosed() bool { return l.final == Closed }

// KeyUpdates counts the changes of the read and of the write key since Start.
func (l *Layer) KeyUpdates() (in, out uint32) { return l.read.updates, l.write.updates }
