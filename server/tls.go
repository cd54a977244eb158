package server

import (
	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/metrics/expose"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// tlsState is the server's part that this file owns.
type tlsState struct {
	handshakes *handshake.Pool
	relayed    error // why the records of TLS stay with crypto/tls; nil: the shards have them
}

// openHandshakes makes the pool in which the handshakes of all shards are done, whether or not the configuration of the
// start has TLS: a later one may. First it is tried out whether a shard can go on with the keys of a handshake.
func (s *Server) openHandshakes() {
	if s.relayed = handshake.SelfTest(); s.relayed != nil {
		s.log.Warn("TLS takes a goroutine for each connection: shards cannot go on with the keys of handshakes",
			"error", s.relayed)
	}
	s.handshakes = handshake.NewPool(handshake.PoolOptions{
		Shards: s.shardCount(), InFlight: s.cfg.Handshakes.InFlight, Waiting: s.cfg.Handshakes.Waiting,
		Relay: s.relayed != nil,
	})
}

// closeHandshakes ends the pool. The shards have ended.
func (s *Server) closeHandshakes() {
	if s.handshakes != nil {
		s.handshakes.Close()
	}
}

// tlsMode says in a few words who seals and opens TLS records.
func (s *Server) tlsMode() string {
	if s.relayed != nil {
		return "crypto/tls, a goroutine for each connection: " + s.relayed.Error()
	}
	return "records in the shards, handshakes beside them"
}

// maxListed bounds how many certificates a status lists.
const maxListed = 100

// tls is what an answer says of TLS; nil: there is no listener with it.
func (p *process) tls(at *sample) *admin.TLS {
	st := p.control.Status()
	all := st.Certificates()
	answer := &admin.TLS{Mode: "shard", Certificates: []admin.Certificate{}, All: len(all)}
	if p.relayed != nil {
		answer.Mode, answer.Why = "relayed", p.relayed.Error()
	}
	for i := range st.Snapshot.Listeners {
		if st.Snapshot.Listeners[i].TLS != nil {
			answer.Listeners++
		}
	}
	if answer.Listeners == 0 && len(all) == 0 {
		return nil
	}
	m := metrics.Sum(at.shards)
	answer.Open, answer.Running = m.Gauge(metrics.TLSConnsOpen), m.Gauge(metrics.HandshakesRunning)
	answer.Done = m.Handshakes(metrics.Clients, metrics.HandshakeDone)
	answer.Resumed = resumed(m)
	answer.Failed = m.HandshakesFailed(metrics.Clients)
	answer.Handshake = percentiles(m.Timing(metrics.HandshakeTime))
	for _, c := range all[:min(len(all), maxListed)] {
		answer.Certificates = append(answer.Certificates, admin.Certificate{
			Names: append([]string{}, c.Names...), Source: c.Source, Kind: c.Kind.String(), NotAfter: c.NotAfter,
			Days: c.NotAfter.Sub(at.at).Hours() / 24, Problems: c.Warnings(at.at),
		})
	}
	return answer
}

// resumed is how many handshakes with clients a ticket has shortened.
func resumed(m *metrics.Snapshot) uint64 {
	return m.HandshakesDone(metrics.Clients, false, true) + m.HandshakesDone(metrics.Clients, true, true)
}

// tlsFigures are those of a shard; nil: no client has spoken TLS to it.
func tlsFigures(m *metrics.Snapshot) *admin.TLSFigures {
	f := &admin.TLSFigures{
		Connections: m.Gauge(metrics.TLSConnsOpen), Running: m.Gauge(metrics.HandshakesRunning),
		Done: m.Handshakes(metrics.Clients, metrics.HandshakeDone), Resumed: resumed(m),
		Failed:    m.HandshakesFailed(metrics.Clients),
		Handshake: distribution(m.Timing(metrics.HandshakeTime)), Records: distribution(m.Timing(metrics.RecordTime)),
	}
	if f.Done+f.Failed == 0 && f.Running == 0 {
		return nil
	}
	return f
}

// tlsSample is what the exposition says of TLS beyond the shards' figures.
func (p *process) tlsSample() expose.TLS {
	sample := expose.TLS{Relayed: p.relayed != nil}
	all := p.control.Status().Certificates()
	for _, c := range all[:min(len(all), expose.MaxCertificates)] {
		name := c.Source
		if len(c.Names) > 0 {
			name = c.Names[0]
		}
		sample.Certificates = append(sample.Certificates, expose.Certificate{
			Name: name, Source: c.Source, NotAfter: c.NotAfter,
		})
	}
	return sample
}
