package control

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/uringproxy/uringproxy/config"
)

// Reload loads the configuration again and publishes it. When it is faulty, everything stays as it is, and each fault
// is logged. What takes effect at the next start only is logged by name.
//
// While another reload runs, it waits for that and then reads the files anew; everybody who waits at that moment is
// served by the same reload, and gets the same Attempt.
func (m *Manager) Reload(ctx context.Context, by Trigger) *Attempt {
	return m.queue.join(by, func(by Trigger) *Attempt { return m.attempt(ctx, by) })
}

// queue makes one attempt of all that are asked for while another one runs.
type queue struct {
	mu   sync.Mutex // guards next
	next *turn      // the one that has not begun yet

	running chan struct{} // has an element while one runs
}

func newQueue() queue { return queue{running: make(chan struct{}, 1)} }

type turn struct {
	by    Trigger
	ended chan struct{}
	got   *Attempt
}

func (q *queue) join(by Trigger, run func(Trigger) *Attempt) *Attempt {
	q.mu.Lock()
	if t := q.next; t != nil {
		if t.by == ByWatch {
			t.by = by // which reads the files even if they look unchanged
		}
		q.mu.Unlock()
		<-t.ended
		return t.got
	}
	t := &turn{by: by, ended: make(chan struct{})}
	q.next = t
	q.mu.Unlock()
	defer close(t.ended)

	q.running <- struct{}{}
	defer func() { <-q.running }()
	q.mu.Lock()
	q.next, by = nil, t.by
	q.mu.Unlock()
	t.got = run(by)
	return t.got
}

// attempt is one reload. Watching, it does nothing and returns nil when the files are those that were read last.
func (m *Manager) attempt(ctx context.Context, by Trigger) *Attempt {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Before they are read: what changes in between is read twice rather than never.
	print := fingerprint(m.opts.Paths, nil, m.breath)
	if by == ByWatch && print == m.print && !m.material.changed(m.breath) {
		return nil
	}
	m.print = print
	a := &Attempt{Trigger: by, At: time.Now()}
	slow := time.AfterFunc(slowReload, func() {
		m.opts.Log.Warn("reading the configuration takes long", "trigger", by, "so_far", slowReload)
	})
	defer slow.Stop()
	var waiting []string
	err := m.guard(func() error {
		cfg, err := m.reload(ctx)
		if err == nil {
			waiting = m.boot.pending(cfg, m.opts.Level != nil)
		}
		return err
	})
	if err != nil && by == ByWatch && m.written(print) {
		m.print = 0 // somebody is still writing, and we will be told when that is over
		return nil
	}
	a.Took = time.Since(a.At)
	if err != nil {
		a.fail(err)
	} else {
		a.Generation = m.last.Generation
	}
	before := m.Status().Refused
	m.record(a, waiting) // first: who reads the log may ask for the status next
	m.tell(a, waiting, before)
	return a
}

// tell logs what became of an attempt; before is the one that was refused before it, if any.
func (m *Manager) tell(a *Attempt, waiting []string, before *Attempt) {
	if a.Err != nil {
		m.tellRefused(a, before)
		return
	}
	for _, key := range waiting {
		m.opts.Log.Warn("changed setting takes effect at the next start", "key", key)
	}
	m.opts.Log.Info("configuration reloaded", "trigger", a.Trigger, "source", m.last.Source,
		"generation", a.Generation, "routes", len(m.current.Routes), "tcp_routes", len(m.current.Streams),
		"udp_routes", len(m.current.Datagrams), "services", len(m.last.Services),
		"took", a.Took.Round(time.Microsecond))
}

// written reports whether files were changed since they had that fingerprint, or were read.
func (m *Manager) written(print uint64) bool {
	return fingerprint(m.opts.Paths, nil, m.breath) != print || m.material.changed(m.breath)
}

// reload puts what is on disk in force, or changes nothing.
func (m *Manager) reload(ctx context.Context) (*config.Config, error) {
	cfg, faults := m.read()
	if len(faults) > 0 {
		return nil, faults
	}
	w, faults := m.ask(ctx, cfg)
	if len(faults) > 0 {
		return nil, &outside{faults}
	}
	snap, err := m.compile(cfg, w)
	if err != nil {
		return nil, err
	}
	err = m.install(cfg, w, snap)
	var listen *ListenError
	if errors.As(err, &listen) {
		key := config.Path("listeners", listen.Listener, "address")
		const what, expected = "an address that cannot be listened on", "one that is free and ours"
		return nil, &outside{config.Faults{cfg.Fault(key, what, expected, listen.Err.Error())}}
	}
	return cfg, err
}

// outside are faults whose cause is not in the files, so that they may pass without a change of them.
type outside struct{ faults config.Faults }

func (o *outside) Error() string { return o.faults.Error() }
func (o *outside) Unwrap() error { return o.faults }

// retry reloads when the last reload failed for a reason outside the files.
func (m *Manager) retry(ctx context.Context) {
	var o *outside
	if r := m.Status().Refused; r != nil && errors.As(r.Err, &o) {
		m.Reload(ctx, ByRetry)
	}
}

// guard makes an error of a panic: a fault in what reads configurations must not end the process that serves.
func (m *Manager) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			m.opts.Log.Error("panic while changing the configuration", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v", v)
			m.loader = config.NewLoader()
			m.loader.Breath = m.breath
			m.vault = newVault(m.opts.Log)
			m.vault.breathe(m.breath)
			m.forget()
		}
	}()
	return f()
}

// maxLogged bounds how many faults of one attempt are logged.
const maxLogged = 20

func (m *Manager) tellRefused(a, before *Attempt) {
	const kept = "configuration not reloaded, the last good one stays"
	if a.Trigger == ByRetry && before != nil && before.Err.Error() == a.Err.Error() {
		m.opts.Log.Debug(kept, "trigger", a.Trigger, "error", "as before")
		return
	}
	if errors.Is(a.Err, errClosed) {
		m.opts.Log.Info("no reload any more", "trigger", a.Trigger, "reason", a.Err)
		return
	}
	if a.Found == 0 {
		m.opts.Log.Error(kept, "trigger", a.Trigger, "error", a.Err)
		return
	}
	m.opts.Log.Error(kept, "trigger", a.Trigger, "faults", a.Found)
	for _, f := range a.Faults[:min(len(a.Faults), maxLogged)] {
		m.opts.Log.Error("configuration fault", "file", f.File, "line", f.Line, "column", f.Column, "key", f.Key,
			"found", f.Found, "expected", f.Expected, "hint", f.Hint)
	}
	if more := a.Found - maxLogged; more > 0 {
		m.opts.Log.Error("and more configuration faults", "faults", more, "advice", "uringproxy check shows all")
	}
}
