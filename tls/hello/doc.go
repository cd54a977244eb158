// Package hello reads a ClientHello, the first message of a TLS connection and the only one that tells what the client
// wants before anything is decrypted: Scanner finds it in a stream of TLS records, Hello.Parse takes it apart. It is a
// pure package: no I/O, no clock, no allocation. What it is given are the received bytes; what it says about them are
// ranges (Ref) of those bytes.
//
// # Invariants
//
//   - The result does not depend on how the stream was split into reads or the message into records. A fault of framing
//     is reported with the byte that makes it one, a fault of the message with the message's end, and the first fault
//     is the result for good.
//   - Nothing that two readers could understand differently is accepted: lengths that do not add up, something repeated
//     that may stand there once, several or malformed server names. Code lists what is refused. Extensions of which
//     nothing is reported are passed over unread, since their meaning is the handshake's affair.
//   - A hello is bounded: MaxMessage bytes, MaxSuites cipher suites, MaxExtensions extensions, MaxProtocols protocols,
//     MaxSchemes signature schemes, MaxKeyShares key shares. All are well above what is registered or seen.
//   - Scanner and Hello hold no pointers and are not larger than they must be: they live in slabs.
//
// Values that are reserved to keep servers tolerant (GREASE, RFC 8701) are accepted wherever they may stand; they count
// neither for Hello.Version nor in a fingerprint, and are there in the lists.
//
// It may import internal/invariant, tls/alert and, of the standard library, crypto/sha256, encoding/binary and slices,
// and is imported by whoever decides by what a client offers: proxy, and inspect for its explanations.
package hello
