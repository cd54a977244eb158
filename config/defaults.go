package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/uringproxy/uringproxy/plan"
)

// defaults is the configuration of an empty file: safe at the edge of a network, and no reason to change anything
// before there is one.
func defaults() *Config {
	return &Config{
		Engine:    Engine{Backend: "auto", Tier: "auto"},
		Admin:     Admin{Addr: netip.MustParseAddrPort("127.0.0.1:9901")}, // loopback: nobody has to prove who they are
		Reload:    Reload{Watch: true},                                    // a faulty file changes nothing
		LogLevel:  slog.LevelInfo,
		AccessLog: plan.AccessLog{Format: plan.LogJSON}, // no path: recording costs, so it is asked for
		Handshakes: Handshakes{
			InFlight: 1024, // each has a goroutine and some 60 KB; more at once only makes all of them slower
			Waiting:  8192, // some seconds of work for two cores; who waits longer has given up
		},
		Limits: plan.Limits{
			Connections:      100_000,  // state only while idle: some 60 MB if all of them come
			ConnectionsPerIP: 0,        // whole offices share an address; a number that suits all does not exist
			LineBytes:        8 << 10,  // RFC 9112, section 3 asks for 8000 at least; nginx has 8 KiB
			HeaderBytes:      32 << 10, // what nginx takes in all; browsers with large cookies stay below
			HeaderCount:      100,      // as Envoy and Apache; browsers send about 20
			BodyBytes:        0,        // bodies stream and are never held, so size alone is no danger to us
			UpstreamPool:     1024,     // an idle connection costs less than a handshake; a burst should find them
			UpstreamConns:    0,        // clients are limited already, and each needs one at a time
			RequestsPerConn:  0,        // nothing is kept from one request to the next, so no reason to start anew
			BodyRateBytes:    240,      // as Kestrel; a slow phone is twenty times faster, a slow attack is not
			Sessions:         16_384,   // a descriptor each; who forges addresses gets no further
			SessionsPerIP:    256,      // one address has so many ports in use at most, unless it means harm
			BuffersPerShard:  64 << 20, // some 13,000 connections of a shard with data on the way at one moment
		},
		Timeouts: plan.Timeouts{
			Header:         10 * time.Second, // as HAProxy advises against slow heads; one round trip is enough
			Idle:           75 * time.Second, // as nginx; longer than the pauses of a browser
			Connect:        5 * time.Second,  // as Envoy: two lost SYNs (1 s and 2 s) may still be made up for
			FirstByte:      60 * time.Second, // as nginx; slow reports finish, dead upstreams are noticed
			UpstreamIdle:   60 * time.Second, // as nginx; most servers keep idle connections at least as long
			Detect:         3 * time.Second,  // who waits for the server to speak first waits so long
			StreamIdle:     10 * time.Minute, // as nginx
			UpgradeIdle:    time.Hour,        // as HAProxy advises for tunnels; WebSockets may be silent for long
			SessionIdle:    30 * time.Second, // an answer comes sooner or never; as NAT gateways at the least
			ResponseIdle:   5 * time.Minute,  // as Envoy; event streams say something more often than that
			BodyRateWindow: 30 * time.Second, // a phone may pass a tunnel
			Linger:         5 * time.Second,  // as nginx; the client needs a moment to read an early answer
			Drain:          30 * time.Second, // the time that orchestrators usually allow before they kill
		},
		Forward: plan.Forward{
			XForwarded: true,  // what nearly every application reads
			Forwarded:  false, // the standard that few read; two sources of one truth are a risk
			RequestID:  true,  // to find a request in everybody's log
			Via:        true,  // RFC 9110, section 7.6.3: a proxy must
		},
	}
}
