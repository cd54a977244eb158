package server

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/internal/words"
)

// openAdmin opens the admin listener. Where nobody asked for it, an address that is taken is no reason not to start: a
// second process on the same machine is an everyday thing. Who writes an address or a token down relies on it: whoever
// took the address would be shown the token. A token that cannot be had is a reason, in any case.
func (s *Server) openAdmin() error {
	a := s.cfg.Admin
	if a.Off {
		return nil
	}
	token, faults := s.cfg.Token()
	if len(faults) > 0 {
		return faults
	}
	s.adminOptions = admin.Options{Token: token, Pprof: a.Pprof, Log: s.log}
	s.tokenFile = a.TokenFile
	address := admin.Address(a.Addr.String())
	if a.Unix != "" {
		address = admin.Address("unix:" + a.Unix)
	}
	l, err := admin.Listen(address, s.adminOptions)
	switch {
	case err == nil:
		s.adminListener = l
	case a.Explicit || a.TokenFile != "":
		return fmt.Errorf("admin listener: %w%s", err, listenAdvice(err))
	default:
		s.log.Warn("no admin listener: uringproxy status and reload cannot reach this process", "error", err,
			"advice", "choose another address with [admin], or set it to \"off\"")
	}
	return nil
}

// serveAdmin answers on the admin listener from now on.
func (s *Server) serveAdmin(reload func() *control.Attempt) {
	if s.adminListener != nil {
		s.admin = admin.Serve(s.adminListener, &process{s, reload}, s.adminOptions)
		s.serving.Store(s.admin)
	}
}

// renewToken reads the token again, so that it can be exchanged without a restart. One that cannot be had changes
// nothing.
func (s *Server) renewToken() {
	a := s.serving.Load()
	if a == nil || s.tokenFile == "" {
		return
	}
	token, err := config.ReadToken(s.tokenFile)
	if err != nil {
		s.log.Warn("the token of the admin listener is not read again, the old one stays", "file", s.tokenFile,
			"error", err)
		return
	}
	a.SetToken(token)
}

func (s *Server) closeAdmin() {
	switch {
	case s.admin != nil:
		if err := s.admin.Close(); err != nil {
			s.log.Error("admin listener not closed", "error", err)
		}
	case s.adminListener != nil:
		_ = s.adminListener.Close() // it never served anybody
	}
}

// adminState is the server's part that this file owns.
type adminState struct {
	adminListener net.Listener // nil without an admin listener
	adminOptions  admin.Options
	tokenFile     string
	admin         *admin.Server
	serving       atomic.Pointer[admin.Server] // the same, for reloads, which may be going on before it is there
}

// process is the server as its admin listener knows it.
type process struct {
	*Server
	reload func() *control.Attempt
}

func (p *process) Ready() bool { return !p.draining.Load() }

func (p *process) Reload() admin.Reloaded {
	a := p.reload()
	return admin.Reloaded{Reload: *attemptOf(a), Config: p.config(p.control.Status(), time.Now())}
}

func (p *process) Status() admin.Status {
	at, st := p.sample(), p.control.Status()
	return admin.Status{
		Version: p.opts.Version, PID: os.Getpid(), State: p.state(),
		Started: p.started, Uptime: at.at.Sub(p.started).Seconds(),
		Engine:     p.engine(),
		Config:     p.config(st, at.at),
		TLS:        p.tls(at),
		Traffic:    p.traffic(at),
		LastReload: attemptOf(st.Last),
		Refused:    attemptOf(st.Refused),
	}
}

func (p *process) state() string {
	if p.Ready() {
		return "serving"
	}
	return "draining"
}

func (p *process) engine() admin.Engine {
	return admin.Engine{Name: p.choice.Engine, Tier: p.choice.Tier, Shards: len(p.shards)}
}

func (p *process) config(st *control.Status, now time.Time) admin.Config {
	snap := st.Snapshot
	c := admin.Config{
		Generation: snap.Generation, Source: snap.Source, Loaded: snap.Created, Age: now.Sub(snap.Created).Seconds(),
		Watching: st.Watching, Routes: len(st.Config.Routes),
		TCPRoutes: len(st.Config.Streams), UDPRoutes: len(st.Config.Datagrams), Services: len(snap.Services),
		Waiting: st.Waiting, Reloads: st.Attempts, ReloadsFailed: st.Failed,
	}
	for i := range snap.Listeners {
		if l := &snap.Listeners[i]; !l.Vacant() {
			c.Listeners = append(c.Listeners, admin.Listener{
				Name: l.Name, Address: addressOf(l), Protocol: l.Protocol.String(),
			})
		}
	}
	return c
}

// attemptOf is a as the admin listener tells it; nil for none.
func attemptOf(a *control.Attempt) *admin.Reload {
	if a == nil {
		return nil
	}
	r := &admin.Reload{
		Trigger: string(a.Trigger), OK: a.Err == nil, At: a.At, Seconds: a.Took.Seconds(), Generation: a.Generation,
		FaultsFound: a.Found,
	}
	for _, f := range a.Faults {
		r.Faults = append(r.Faults, faultOf(f))
	}
	switch {
	case a.Found > 0:
		r.Error = words.Count(a.Found, "fault") + " in the configuration"
	case a.Err != nil:
		r.Error = a.Err.Error()
	}
	return r
}

func faultOf(f config.Fault) admin.Fault {
	return admin.Fault{
		File: f.File, Line: f.Line, Column: f.Column, Key: f.Key, Text: f.Error(), Excerpt: f.Excerpt(),
	}
}
