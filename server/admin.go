package server

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/metrics"
)

// openAdmin opens the admin listener. Where nobody asked for the address, one that is taken is no reason not to start:
// a second process on the same machine is an everyday thing.
func (s *Server) openAdmin() error {
	a := s.cfg.Admin
	if a.Off {
		return nil
	}
	address := admin.Address(a.Addr.String())
	if a.Unix != "" {
		address = admin.Address("unix:" + a.Unix)
	}
	l, err := admin.Listen(address)
	switch {
	case err == nil:
		s.adminListener = l
	case a.Explicit:
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
		s.admin = admin.Serve(s.adminListener, &process{s, reload}, s.log)
	}
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

// adminState is the server's part that openAdmin, serveAdmin and closeAdmin own.
type adminState struct {
	adminListener net.Listener // nil without an admin listener
	admin         *admin.Server
}

// process is the server as its admin listener knows it.
type process struct {
	*Server
	reload func() *control.Attempt
}

func (p *process) Ready() bool { return !p.draining.Load() }

func (p *process) Reload() admin.Reloaded {
	a := p.reload()
	return admin.Reloaded{Reload: *attemptOf(a), Config: p.config(p.control.Status())}
}

func (p *process) Status() admin.Status {
	st := p.control.Status()
	state := "serving"
	if !p.Ready() {
		state = "draining"
	}
	return admin.Status{
		Version: p.opts.Version, PID: os.Getpid(), State: state,
		Started: p.started, Uptime: time.Since(p.started).Seconds(),
		Engine:     admin.Engine{Name: p.choice.Engine, Tier: p.choice.Tier, Shards: len(p.shards)},
		Config:     p.config(st),
		Traffic:    p.traffic(),
		LastReload: attemptOf(st.Last),
		Refused:    attemptOf(st.Refused),
	}
}

func (p *process) config(st *control.Status) admin.Config {
	snap := st.Snapshot
	c := admin.Config{
		Generation: snap.Generation, Source: snap.Source, Loaded: snap.Created, Age: time.Since(snap.Created).Seconds(),
		Watching: st.Watching, Routes: st.Routes, Services: len(snap.Services), Waiting: st.Waiting,
		Reloads: st.Attempts, ReloadsFailed: st.Failed,
	}
	for i := range snap.Listeners {
		if l := &snap.Listeners[i]; !l.Vacant() {
			c.Listeners = append(c.Listeners, admin.Listener{Name: l.Name, Address: where(l)})
		}
	}
	return c
}

func (p *process) traffic() admin.Traffic {
	m := p.metrics.Snapshot()
	t := admin.Traffic{
		Connections: m.Gauge(metrics.ConnsActive), Accepted: m.Counter(metrics.ConnsAccepted),
		Running: m.Gauge(metrics.ExchangesActive), Requests: m.Requests(),
		Upstream: m.Gauge(metrics.UpstreamConnsOpen), UpstreamsIdle: m.Gauge(metrics.UpstreamConnsIdle),
		Snapshots: p.snapshots(),
	}
	for r := metrics.None + 1; r <= metrics.InternalError; r++ {
		t.Errors += m.Errors(r)
		t.Refused += m.Refused(r)
	}
	return t
}

// askTime is how long a shard may take to answer: long for a turn, short for somebody who waits.
const askTime = time.Second

// snapshots asks each shard how many snapshots it uses.
func (p *process) snapshots() []int {
	answers := make(chan int, len(p.shards))
	for _, r := range p.shards {
		r.shard.Post(func() { answers <- r.shard.Snapshots() })
	}
	limit := time.NewTimer(askTime)
	defer limit.Stop()
	counts := []int{}
	for range p.shards {
		select {
		case n := <-answers:
			counts = append(counts, n)
		case <-limit.C:
			return counts
		}
	}
	return counts
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
		r.Error = count(a.Found, "fault") + " in the configuration"
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
