package bench

import (
	"strings"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

// encrypted is whether connections of clients speak TLS, and what else is asked of a proxy then.
type encrypted uint8

const (
	plain      encrypted = iota
	withTLS              // every handshake is a full one, and the proxy gives no tickets
	withTicket           // sessions are resumed by tickets
)

// encryptedLoops are the closed loops over TLS: version 1.3, TLS_AES_128_GCM_SHA256, X25519, a certificate with a key
// on P-256. Where a proxy agrees to anything else, the load generator refuses the connection.
func encryptedLoops() []scenario {
	const perRequest, perByte = result.PerRequest, result.PerByte
	return []scenario{
		&closedLoop{profile{name: "tls-keepalive", title: "HTTPS, GET of 100 bytes, kept connections",
			unit: perRequest, conns: 64, tls: withTLS}, load.Config{}},
		&closedLoop{profile{name: "tls-64k", title: "HTTPS, GET of 64 KiB, kept connections",
			unit: perByte, conns: 64, tls: withTLS}, load.Config{Path: "/64k", Download: kib64}},
		&closedLoop{profile{name: "tls-1m", title: "HTTPS, GET of 1 MiB, kept connections",
			unit: perByte, conns: 16, extra: true, tls: withTLS}, load.Config{Path: "/1m", Download: mib}},
		&closedLoop{profile{name: "tls-handshake", title: "HTTPS, a full handshake for each GET of 100 bytes",
			unit: perRequest, conns: 64, renewing: true, tls: withTLS}, load.Config{PerRequest: true}},
		&closedLoop{profile{name: "tls-resume", title: "HTTPS, a session resumed for each GET of 100 bytes",
			unit: perRequest, conns: 64, renewing: true, extra: true, tls: withTicket},
			load.Config{PerRequest: true}},
	}
}

// speaksTLS reports whether a program was built with TLS, if it can be asked.
func (k *kind) speaksTLS(program string) bool {
	return k.tls.word == "" || strings.Contains(peer.Answer(program, k.tls.argument), k.tls.word)
}
