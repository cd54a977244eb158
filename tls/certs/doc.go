// Package certs owns the certificates that a server shows and the tables by which it finds them: reading and judging
// the files, keeping what was parsed between configurations, choosing by name and by what a client can verify, and
// stapled OCSP responses.
//
// # Invariants
//
//   - A Certificate and a Set never change once they are made. A snapshot holds them, any goroutine reads them without
//     a lock, and sets share certificates: nothing per certificate is copied from one set to the next.
//   - Set.Find allocates nothing and takes no lock. A name that nobody has costs two probes of a table, as a wildcard
//     does, and leaves nothing behind; the table's hash is keyed, so nobody can choose names that collide.
//   - What is wrong with a file is a Fault: which file, what it is, what to do about it. What works but should not
//     stay so is a warning.
//   - A Store parses a certificate once for as long as somebody uses it, and reads its files again only when the
//     kernel's word for it that they are as they were is not there, or not to be relied on. What was read is
//     compared by content.
//   - Private keys appear in no fault, warning or name.
//
// It imports the standard library, internal/breath and golang.org/x/crypto/ocsp. tls/handshake, control, inspect,
// server and the load generator may import it; everything but Find, Default and Choose is for the control plane.
package certs
