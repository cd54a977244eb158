package server

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/inspect"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// masked tells that nobody has to show a token, so that what may be one is not shown either.
func (p *process) masked() bool { return p.adminOptions.Token == "" }

// Running is the configuration in force, as the snapshot has it; what a rule says is in the text that it was made from.
func (p *process) Running() *admin.Running {
	st := p.control.Status()
	snap, cfg := st.Snapshot, st.Config
	r := &admin.Running{
		Generation: snap.Generation, Source: snap.Source, Loaded: snap.Created, Age: time.Since(snap.Created).Seconds(),
		Listeners: []admin.RunningListen{},
		Limits:    runningLimits(&snap.Limits, p.room), Timeouts: runningTimeouts(&snap.Timeouts),
		Paths: runningPaths(&snap.Paths),
		Forward: admin.RunningForward{
			XForwarded: snap.Forward.XForwarded, Forwarded: snap.Forward.Forwarded, RequestID: snap.Forward.RequestID,
			Via: snap.Forward.Via,
		},
		AccessLog: admin.RunningLog{Path: snap.AccessLog.Path, Format: "json"},
	}
	if snap.AccessLog.Format == plan.LogCLF {
		r.AccessLog.Format = "clf"
	}
	for i := range snap.Listeners {
		if l := &snap.Listeners[i]; !l.Vacant() {
			r.Listeners = append(r.Listeners, admin.RunningListen{
				Name: l.Name, Address: addressOf(l), Protocol: l.Protocol.String(),
				Trusted: append([]netip.Prefix{}, l.Trusted...), Proxied: append([]netip.Prefix{}, l.Proxied...),
			})
		}
	}
	r.Services = func(yield func(admin.RunningService) bool) {
		for i := range snap.Services {
			if !yield(runningService(&snap.Services[i])) {
				return
			}
		}
	}
	r.Routes = func(yield func(admin.RunningRoute) bool) {
		for _, c := range cfg.Routes {
			if !yield(admin.RunningRoute{
				Name: c.Name, Listeners: c.Listeners, Rule: p.rule(c.Rule), Priority: c.Priority, Service: c.Service,
				Upgrades: append([]string{}, c.Upgrades...), Connect: c.Connect,
			}) {
				return
			}
		}
	}
	r.TCPRoutes, r.UDPRoutes = p.runningStreams(cfg, cfg.Streams), p.runningStreams(cfg, cfg.Datagrams)
	return r
}

// rule is the text of a rule, as far as it may be shown; empty: there is none.
func (p *process) rule(e *rule.Expr) string {
	switch {
	case e == nil:
		return ""
	case p.masked():
		return e.Masked().String()
	}
	return e.String()
}

// runningStreams are tcp routes or udp routes of cfg.
func (p *process) runningStreams(cfg *config.Config, routes []*config.StreamRoute) iter.Seq[admin.RunningStream] {
	return func(yield func(admin.RunningStream) bool) {
		for _, c := range routes {
			s := admin.RunningStream{
				Name: c.Name, Listeners: []string{}, Rule: p.rule(c.Rule), Priority: c.Priority, Service: c.Service,
				MaxConnections: c.Connections, ConnectionRate: c.Rate, ConnectionBurst: c.Burst,
			}
			for _, l := range cfg.Listeners {
				if c.For(l) {
					s.Listeners = append(s.Listeners, l.Name)
				}
			}
			switch {
			case c.Terminate:
				s.TLS = "terminate"
			case !c.Datagrams:
				s.TLS = "passthrough"
			}
			if !yield(s) {
				return
			}
		}
	}
}

func runningService(s *plan.Service) admin.RunningService {
	endpoints := make([]admin.RunningEndpoint, len(s.Endpoints))
	a := admin.RunningService{
		Name: s.Name, Balance: "round_robin", Endpoints: endpoints,
		Proxy: map[plan.ProxyVersion]string{plan.ProxyV1: "v1", plan.ProxyV2: "v2"}[s.Proxy],
	}
	if s.ByClient {
		a.Balance = "client_ip"
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		a.Endpoints[i] = admin.RunningEndpoint{URL: e.Name, Address: "unix:" + e.Unix, Cycle: len(s.Cycle)}
		if e.Unix == "" {
			a.Endpoints[i].Address = e.Addr.String()
		}
	}
	for _, i := range s.Cycle {
		a.Endpoints[i].Share++
	}
	return a
}

// runningLimits are those of a process whose descriptors leave room for so many clients.
func runningLimits(l *plan.Limits, room int) admin.RunningLimits {
	return admin.RunningLimits{
		MaxConnections: min(l.Connections, room), MaxConnectionsPerIP: l.ConnectionsPerIP,
		LineBytes: l.LineBytes, HeaderBytes: l.HeaderBytes, HeaderCount: l.HeaderCount, BodyBytes: l.BodyBytes,
		UpstreamIdleConnections: l.UpstreamPool, UpstreamConnections: l.UpstreamConns,
		RequestsPerConnection: l.RequestsPerConn, MinBodyRate: l.BodyRateBytes, ShardBufferBytes: l.BuffersPerShard,
		UDPSessions: l.Sessions, UDPSessionsPerIP: l.SessionsPerIP,
	}
}

func runningTimeouts(t *plan.Timeouts) admin.RunningTimeouts {
	return admin.RunningTimeouts{
		Header: t.Header.Seconds(), Idle: t.Idle.Seconds(), Connect: t.Connect.Seconds(),
		FirstByte: t.FirstByte.Seconds(), UpstreamIdle: t.UpstreamIdle.Seconds(),
		ResponseIdle: t.ResponseIdle.Seconds(), BodyRateWindow: t.BodyRateWindow.Seconds(),
		Linger: t.Linger.Seconds(), Drain: t.Drain.Seconds(), Detect: t.Detect.Seconds(),
		StreamIdle: t.StreamIdle.Seconds(), UpgradeIdle: t.UpgradeIdle.Seconds(),
		SessionIdle: t.SessionIdle.Seconds(),
	}
}

func runningPaths(p *plan.Paths) admin.RunningPaths {
	refuse := map[bool]string{false: "refuse", true: "keep"}
	return admin.RunningPaths{
		EncodedSlash: refuse[p.Policy.KeepSlash], EncodedNUL: refuse[p.Policy.KeepNUL],
		MergeSlashes: !p.Policy.KeepDoubles,
		Forward:      map[bool]string{false: "matched", true: "received"}[p.ForwardReceived],
	}
}

// Explain says what becomes of a request by the configuration in force.
func (p *process) Explain(q *admin.Question) (any, error) {
	st := p.control.Status()
	return inspect.ExplainRunning(st.Config, &inspect.Question{
		URL: q.URL, Method: q.Method, Fields: q.Headers, ClientIP: q.ClientIP, Port: q.Port, Listener: q.Listener,
		TLS: inspect.TLS{
			SNI: q.SNI, Version: q.TLSVersion, JA4: q.JA4, ALPN: q.ALPN, Suites: q.CipherSuite,
			Hello: []byte(q.ClientHello), ClientCert: q.ClientCert,
		},
		Routes: q.Routes, Masked: p.masked(),
	}, inspect.Running{Route: routeIn(st.Snapshot), Certificates: certificatesIn(st.Snapshot)})
}

// listenerIn finds a listener of a snapshot; nil: there is none by this name.
func listenerIn(snap *plan.Snapshot, name string) *plan.Listener {
	i := slices.IndexFunc(snap.Listeners, func(l plan.Listener) bool { return !l.Vacant() && l.Name == name })
	if i < 0 {
		return nil
	}
	return &snap.Listeners[i]
}

// certificatesIn has the certificates that the listeners of a snapshot show.
func certificatesIn(snap *plan.Snapshot) func(listener string) *certs.Set {
	return func(listener string) *certs.Set {
		l := listenerIn(snap, listener)
		if l == nil || l.TLS == nil || l.TLS.Server == nil {
			return nil
		}
		return l.TLS.Server.Certificates()
	}
}

// routeIn asks the tables of a snapshot, as shards do, for the name of the route that they lead to; empty: none.
func routeIn(snap *plan.Snapshot) func(listener string, streams bool, r *routing.Request) string {
	return func(listener string, streams bool, r *routing.Request) string {
		switch l := listenerIn(snap, listener); {
		case l == nil:
		case streams && l.Streams != nil:
			if n := l.Streams.MatchHello(r); n >= 0 {
				return snap.Streams[n].Name
			}
		case !streams && l.Table != nil:
			if n := l.Table.Match(r); n >= 0 {
				return snap.Routes[n].Name
			}
		}
		return ""
	}
}
