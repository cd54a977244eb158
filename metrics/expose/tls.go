package expose

import (
	"slices"
	"strconv"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// TLS is what there is to say of TLS beyond the shards' figures.
type TLS struct {
	// Relayed tells that crypto/tls has the records too, and not only the handshakes.
	Relayed bool
	// Certificates are those in force, as many as are shown one by one.
	Certificates []Certificate
}

// Certificate is one that listeners show, or that endpoints are shown.
type Certificate struct {
	Name, Source string
	NotAfter     time.Time
}

// tlsFamilies are about TLS on both sides.
var tlsFamilies = slices.Concat(
	[]family{
		{"tls_handshakes", counter, "TLS handshakes that ended, by their end.", "side, result",
			func(e *encoder, in *Input) {
				for side := range metrics.Sides {
					for end := range metrics.HandshakeEnds {
						e.count(in.total.Handshakes(side, end), "side", side.Label(), "result", end.Label())
					}
				}
			}},
		{"tls_handshakes_done", counter, "TLS handshakes that succeeded, by version, and by whether a ticket was used.",
			"side, version, resumed", func(e *encoder, in *Input) {
				for side := range metrics.Sides {
					for _, tls13 := range []bool{false, true} {
						for _, resumed := range []bool{false, true} {
							e.count(in.total.HandshakesDone(side, tls13, resumed), "side", side.Label(),
								"version", versionText(tls13), "resumed", strconv.FormatBool(resumed))
						}
					}
				}
			}},
		{"tls_hellos_refused", counter, "ClientHellos that were refused, by what is wrong with them.", "reason",
			func(e *encoder, in *Input) {
				for code, n := range in.total.HellosRefused {
					e.count(n, "reason", hello.Code(code).String())
				}
			}},
		{"tls_alerts_received", counter, "Alerts that peers sent after their handshakes; the announced end of a " +
			"connection is none of them.", "alert", func(e *encoder, in *Input) {
			for code, n := range in.total.AlertsReceived {
				e.count(n, "alert", alert.Alert(code).String())
			}
		}},
	},
	[]family{
		counted("tls_records", "TLS records of all connections after their handshakes, opened and sealed.", "direction",
			labelled[metrics.Counter]{"opened", metrics.RecordsOpened},
			labelled[metrics.Counter]{"sealed", metrics.RecordsSealed}),
		counted("tls_payload_bytes", "Bytes inside those records.", "direction",
			labelled[metrics.Counter]{"opened", metrics.BytesOpened},
			labelled[metrics.Counter]{"sealed", metrics.BytesSealed}),
		counted("tls_key_updates", "Key updates of TLS 1.3.", "direction",
			labelled[metrics.Counter]{"received", metrics.KeyUpdatesReceived},
			labelled[metrics.Counter]{"sent", metrics.KeyUpdatesSent}),
		counts("tls_record_faults", metrics.RecordFaults, "Connections that were ended because of a record that is "+
			"none, or was not sealed with their key."),
		counts("tls_truncations", metrics.Truncations, "Connections whose peer ended them without close_notify while "+
			"something was still to come."),
		counts("tls_connections_rested", metrics.CiphersLetGo, "How often a connection was unused for so long that "+
			"its ciphers were let go; they are made anew when they are needed."),
		levels("tls_connections_open", metrics.TLSConnsOpen,
			"Connections of clients over TLS that have their handshake behind them."),
		levels("tls_hellos_awaited", metrics.TLSHellosAwaited,
			"Connections of clients whose ClientHello is not complete yet."),
		levels("tls_handshakes_running", metrics.HandshakesRunning, "TLS handshakes that have a goroutine."),
		levels("tls_handshakes_waiting", metrics.HandshakesWaiting, "TLS handshakes that wait in line for one."),
		one("tls_relayed", "1 when crypto/tls has the records too, because its handshakes could not be taken over.",
			func(in *Input) float64 { return truth(in.TLS.Relayed) }),
		{"tls_certificate_expiry_timestamp_seconds", gauge, "When a certificate in force expires, in seconds since " +
			"1970, by its first name; of the first " + strconv.Itoa(MaxCertificates) + " to expire.", "name, source",
			func(e *encoder, in *Input) {
				for _, c := range in.TLS.Certificates {
					e.number(seconds(c.NotAfter), "name", c.Name, "source", c.Source)
				}
			}},
	},
	timed("tls_handshake", metrics.HandshakeTime,
		"A TLS handshake with a client that succeeded, from the connection's first byte, waiting included."),
	timed("tls_upstream_handshake", metrics.UpstreamTLSTime,
		"A TLS handshake with an endpoint that succeeded, from the connection's opening."),
	timed("tls_certificate_lookup", metrics.CertificateTime, "Finding policy and certificate for a ClientHello."),
	timed("tls_own", metrics.RecordTime, "Opening and sealing TLS records for a request, a part of its own time; one "+
		"request in "+strconv.Itoa(metrics.RequestSample)+" is timed."),
)

// MaxCertificates bounds how many certificates are exposed one by one.
const MaxCertificates = 100

func versionText(tls13 bool) string {
	if tls13 {
		return "1.3"
	}
	return "1.2"
}
