// Package h1 reads HTTP/1.1 messages: heads of requests and responses, chunked bodies, and edits heads in
// place.
//
// It owns the syntax of RFC 9112 and the parts of RFC 9110 that decide where a message begins and ends and
// to whom it is addressed, and of RFC 6455 the handshake by which a connection leaves HTTP. It is a pure
// package: no I/O, no clock, no allocation. What it is given are the received bytes; what it says about
// them are ranges (Ref) of those bytes.
//
// # Invariants
//
//   - The result does not depend on how the bytes were split: every prefix may be given first, and each
//     byte is looked at a bounded number of times however slowly they come.
//   - A fault of syntax is reported with the byte that makes it one, a fault of a field's meaning with the
//     end of its line, a fault of the head as a whole with its end. The first fault is the result for good.
//   - Nothing that two readers could frame or address differently is accepted. docs/http-strictness.md
//     lists what is refused and why, and a test holds it to the Code list.
//   - Parser and Chunked hold no pointers and are not larger than they must be: they live in slabs.
//
// It may import internal/invariant and the standard library's bytes, crypto/fips140, crypto/sha1,
// encoding/base64, encoding/binary, iter, math and math/bits, and is imported by proxy.
package h1
