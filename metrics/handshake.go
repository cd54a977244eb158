package metrics

import "sync/atomic"

// HandshakeEnd is how a TLS handshake ended.
type HandshakeEnd uint8

const (
	HandshakeDone        HandshakeEnd = iota
	HandshakeBadHello                 // the ClientHello was refused; HelloRefused says for what
	HandshakeShed                     // too many were waiting already
	HandshakeTimeout                  // it took too long
	HandshakePeerGone                 // the peer closed or reset the connection
	HandshakeCutOff                   // we closed the connection, such as at a shutdown
	HandshakeNoName                   // strict: no certificate for the name that was asked for
	HandshakeNoVersion                // no version in common
	HandshakeNoSuite                  // no cipher suite, group or signature scheme in common
	HandshakeNoProtocol               // no protocol (ALPN) in common
	HandshakeCertificate              // the peer's certificate is missing, or was not believed
	HandshakeAlert                    // the peer refused, and said so by an alert
	HandshakeGarbage                  // the peer broke the protocol
	HandshakeInternal                 // our fault
	handshakeEnds
)

var handshakeEndLabels = [handshakeEnds]string{
	"done", "bad_hello", "shed", "timeout", "peer_gone", "cut_off", "no_name", "no_version",
	"no_suite", "no_protocol",
	"certificate", "alert", "garbage", "internal",
}

// Label is a name in lower case and underscores.
func (e HandshakeEnd) Label() string { return handshakeEndLabels[e] }

// HandshakeEnds yields all of them.
func HandshakeEnds(yield func(HandshakeEnd) bool) {
	for e := HandshakeDone; e < handshakeEnds && yield(e); e++ {
	}
}

// Side is who is at the other end of a TLS connection.
type Side uint8

const (
	Clients Side = iota
	Upstreams
	sides
)

// Label is the side's name in lower case.
func (s Side) Label() string { return [...]string{"client", "upstream"}[s] }

// Sides yields both.
func Sides(yield func(Side) bool) {
	for s := Clients; s < sides && yield(s); s++ {
	}
}

// Handshake is what is recorded of a TLS handshake when it has ended.
type Handshake struct {
	Side Side
	End  HandshakeEnd
	// Of those that are done: TLS 1.3, not 1.2; by a ticket; and the time in nanoseconds from the connection's first
	// byte, waiting for a turn included.
	TLS13, Resumed bool
	Duration       int64
}

// handshakeCounts are a shard's counts of handshakes, and of what is told by numbers of the protocol.
type handshakeCounts struct {
	ends   [sides][handshakeEnds]uint64
	done   [sides][2][2]uint64 // by TLS 1.3, and by resumption
	hellos [codes]uint64
	alerts [codes]uint64
}

// codes bounds the numbers of faults of a ClientHello, and those of alerts; greater ones count as the last.
const codes = 128

func (c *handshakeCounts) add(of *handshakeCounts) {
	for s := range c.ends {
		for e := range c.ends[s] {
			c.ends[s][e] += atomic.LoadUint64(&of.ends[s][e])
		}
		for i := range 4 {
			c.done[s][i/2][i%2] += atomic.LoadUint64(&of.done[s][i/2][i%2])
		}
	}
	for i := range codes {
		c.hellos[i] += atomic.LoadUint64(&of.hellos[i])
		c.alerts[i] += atomic.LoadUint64(&of.alerts[i])
	}
}

// Handshake records a handshake that has ended.
func (s *Shard) Handshake(h *Handshake) {
	n := &s.handshakes.ends[h.Side][h.End]
	store(n, *n+1)
	if h.End != HandshakeDone {
		return
	}
	n = &s.handshakes.done[h.Side][digit(h.TLS13)][digit(h.Resumed)]
	store(n, *n+1)
	s.histograms[[sides]Timing{HandshakeTime, UpstreamTLSTime}[h.Side]].Record(h.Duration)
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// HelloRefused counts a ClientHello that was refused for the fault with that number, a hello.Code.
func (s *Shard) HelloRefused(code uint8) {
	n := &s.handshakes.hellos[min(code, codes-1)]
	store(n, *n+1)
}

// AlertReceived counts an alert that a peer sent after its handshake; close_notify is none of them.
func (s *Shard) AlertReceived(code uint8) {
	n := &s.handshakes.alerts[min(code, codes-1)]
	store(n, *n+1)
}

// Handshakes is the number of handshakes on one side that ended so.
func (s *Snapshot) Handshakes(side Side, end HandshakeEnd) uint64 {
	return s.handshakes.ends[side][end]
}

// HandshakesDone is the number of those that succeeded with TLS 1.3, or with 1.2, and by a ticket, or without.
func (s *Snapshot) HandshakesDone(side Side, tls13, resumed bool) uint64 {
	return s.handshakes.done[side][digit(tls13)][digit(resumed)]
}

// HandshakesFailed is the number of those on one side that did not succeed.
func (s *Snapshot) HandshakesFailed(side Side) (n uint64) {
	for _, count := range s.handshakes.ends[side][HandshakeDone+1:] {
		n += count
	}
	return n
}

// HellosRefused yields the number of hellos that were refused for each fault that there was.
func (s *Snapshot) HellosRefused(yield func(code uint8, n uint64) bool) {
	some(&s.handshakes.hellos, yield)
}

// AlertsReceived yields the number of alerts of each kind that peers sent.
func (s *Snapshot) AlertsReceived(yield func(code uint8, n uint64) bool) {
	some(&s.handshakes.alerts, yield)
}

func some(counts *[codes]uint64, yield func(uint8, uint64) bool) {
	for code, n := range counts {
		if n > 0 && !yield(uint8(code), n) {
			return
		}
	}
}
