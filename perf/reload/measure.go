package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
)

const (
	readyLimit  = 60 * time.Second // for a proxy to read its first configuration
	quietLimit  = 10 * time.Second // for what it has left to do after a phase
	quietSample = 200 * time.Millisecond
	warmUp      = time.Second
)

// pair is a phase without changes and the phase with changes that followed it.
type pair struct {
	Switching  bool          `json:"switching"` // the loaded route's service changed as well
	Without    *load.Result  `json:"without"`
	With       *load.Result  `json:"with"`
	CPUWithout time.Duration `json:"cpu_without_ns"` // processor time of the proxy
	CPUWith    time.Duration `json:"cpu_with_ns"`
	Foreign    float64       `json:"foreign"`      // part of the proxy's core that others used, in the worse phase
	CPUAfter   time.Duration `json:"cpu_after_ns"` // what it still had to do with the changes when the load had ended
	Changes    changes       `json:"changes"`
}

// memory is what a proxy used in bytes: after its first load, at the most seen after a phase, and in the end.
type memory struct {
	Before int64 `json:"before"`
	Most   int64 `json:"most"`
	After  int64 `json:"after"`
}

// report is what was found out about one proxy.
type report struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	MaxRate int    `json:"max_rate,omitempty"` // requests per second that the generator got out of it, if it was asked
	Rate    int    `json:"rate"`
	Memory  memory `json:"memory_bytes"`
	Pairs   []pair `json:"pairs"`
	Error   string `json:"error,omitempty"` // why the rest is missing
}

// measurement is one proxy under test with all that belongs to it.
type measurement struct {
	o       *options
	kind    *kind
	site    *site
	proxy   *peer.Process
	loader  *loader
	changer *changer
	report  *report
}

// measure starts a proxy, measures it, and ends it.
func measure(ctx context.Context, o *options, g *peer.Group, k *kind, program string, ports [3]int) *report {
	r := &report{Name: k.name, Version: peer.Version(program, k.version)}
	m := &measurement{o: o, kind: k, report: r}
	if err := m.run(ctx, g, program, ports); err != nil {
		r.Error = err.Error()
	}
	if m.loader != nil {
		m.loader.process.Stop() // first, so that the proxy has nothing to wait for
	}
	if m.proxy != nil {
		m.proxy.Stop()
	}
	return r
}

func (m *measurement) run(ctx context.Context, g *peer.Group, program string, ports [3]int) error {
	if err := m.start(ctx, g, program, ports); err != nil {
		return err
	}
	if err := m.calibrate(ctx); err != nil {
		return err
	}
	if _, err := m.phase(ctx, warmUp, services[:1]); err != nil {
		return err
	}
	before, err := peer.Memory(m.proxy.Pid())
	if err != nil {
		return err
	}
	m.report.Memory = memory{Before: before, Most: before, After: before}
	for i := range m.o.pairs {
		progress("%s: pair %d of %d", m.kind.name, i+1, m.o.pairs)
		if err := m.pair(ctx, i >= (m.o.pairs+1)/2); err != nil {
			return err
		}
	}
	return nil
}

// start starts the proxy and the load process, and waits until all routes are there.
func (m *measurement) start(ctx context.Context, g *peer.Group, program string, ports [3]int) (err error) {
	dir, err := os.MkdirTemp(g.Dir, m.kind.name+"-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the worker of nginx gives up root
		return fmt.Errorf("open folder to others: %w", err)
	}
	m.site = &site{dir: dir, port: ports[0], ports: [2]int(ports[1:]), count: m.o.routes}
	if err := peer.CheckPort(m.site.port); err != nil {
		return errors.Join(err, errors.New("choose others with --port"))
	}
	if err := m.kind.writeAll(m.site); err != nil {
		return err
	}
	progress("%s: starting with %d routes", m.kind.name, m.o.routes+1)
	m.proxy, err = g.Start(m.o.proxyCore, exec.Command(program, m.kind.command(m.site)...))
	if err != nil {
		return err
	}
	m.changer = &changer{m.kind, m.site, m.proxy, time.Duration(float64(time.Second) / m.o.changes)}
	url := fmt.Sprintf("http://127.0.0.1:%d%s", m.site.port, load.AnswerPath)
	if err := m.proxy.Await(ctx, url, m.site.newest(), readyLimit); err != nil {
		return err
	}
	m.loader, err = startLoader(g, m.o.loadCore, load.Config{
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(m.site.port)), Host: loadedHost,
		Conns: m.o.conns, Streams: m.o.streams, Services: services,
	})
	return err
}

// calibrate chooses the rate: a part of what the proxy, the upstream and the generator can do together.
func (m *measurement) calibrate(ctx context.Context) error {
	m.report.Rate = m.o.rate
	if m.o.rate > 0 {
		return nil
	}
	r, err := m.phase(ctx, warmUp, services[:1]) // without a rate it is as much as possible
	if err != nil {
		return err
	}
	m.report.MaxRate = int(float64(r.Answered) / r.Elapsed.Seconds())
	m.report.Rate = int(float64(m.report.MaxRate) * m.o.share)
	progress("%s: %d requests a second at most, %d from now on", m.kind.name, m.report.MaxRate, m.report.Rate)
	if m.report.Rate == 0 {
		return fmt.Errorf("calibrate: no request was answered: %v", r.Samples)
	}
	return nil
}

// phase runs a phase of load.
func (m *measurement) phase(ctx context.Context, length time.Duration, allowed []string) (*load.Result, error) {
	p := load.Phase{Rate: m.report.Rate, Length: length, Services: allowed}
	if err := m.loader.begin(p); err != nil {
		return nil, err
	}
	return m.loader.wait(ctx, p)
}

// usage is the processor time that the proxy and the proxy's core have used so far.
func (m *measurement) usage() (proxy, core time.Duration, err error) {
	if proxy, err = peer.CPUTime(m.proxy.Pid()); err != nil {
		return 0, 0, m.proxy.Failure("ended")
	}
	core, err = peer.BusyTime(m.o.proxyCore)
	return proxy, core, err
}

// measured runs a phase of load, and tells what processor time the proxy used in it. What others used of its core goes
// into the pair.
func (m *measurement) measured(ctx context.Context, p *pair, allowed []string) (*load.Result, time.Duration, error) {
	proxy, core, err := m.usage()
	if err != nil {
		return nil, 0, err
	}
	r, err := m.phase(ctx, m.o.length, allowed)
	if err != nil {
		return nil, 0, err
	}
	proxyAfter, coreAfter, err := m.usage()
	if err != nil {
		return nil, 0, err
	}
	used := proxyAfter - proxy
	p.Foreign = max(p.Foreign, float64(coreAfter-core-used)/float64(r.Elapsed))
	return r, used, nil
}

// pair measures without changes and with changes.
func (m *measurement) pair(ctx context.Context, switching bool) error {
	p := pair{Switching: switching}
	allowed := services[m.site.service:][:1]
	err := m.beside(ctx, func(ctx context.Context) error {
		return m.changer.rehearse(ctx, m.o.length)
	}, func() (err error) {
		p.Without, p.CPUWithout, err = m.measured(ctx, &p, allowed)
		return err
	})
	if err != nil {
		return err
	}
	if switching {
		allowed = services
	}
	err = m.beside(ctx, func(ctx context.Context) (err error) {
		p.Changes, err = m.changer.run(ctx, m.o.length, switching)
		return err
	}, func() (err error) {
		p.With, p.CPUWith, err = m.measured(ctx, &p, allowed)
		return err
	})
	if err != nil {
		return err
	}
	if err := m.settle(ctx, &p); err != nil {
		return err
	}
	m.report.Pairs = append(m.report.Pairs, p)
	return nil
}

// beside measures while work goes on, which ends early when the measurement fails.
func (m *measurement) beside(ctx context.Context, work func(context.Context) error, measure func() error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- work(inner) }()
	err := measure()
	if err != nil {
		cancel()
	}
	return errors.Join(err, <-done)
}

// settle waits until the last change is live and the proxy has nothing more to do, and looks at its memory.
func (m *measurement) settle(ctx context.Context, p *pair) error {
	begin, err := peer.CPUTime(m.proxy.Pid())
	if err != nil {
		return m.proxy.Failure("ended")
	}
	if p.Changes.Repeated, err = m.changer.awaitLast(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(quietLimit)
	for last := begin - time.Hour; time.Now().Before(deadline); {
		now, err := peer.CPUTime(m.proxy.Pid())
		if err != nil {
			return m.proxy.Failure("ended")
		}
		p.CPUAfter = now - begin
		if now-last < quietSample/20 {
			break
		}
		last = now
		if err := pause(ctx, quietSample); err != nil {
			return err
		}
	}
	n, err := peer.Memory(m.proxy.Pid())
	if err != nil {
		return err
	}
	m.report.Memory.After = n
	m.report.Memory.Most = max(m.report.Memory.Most, n)
	return nil
}
