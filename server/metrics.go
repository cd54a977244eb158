package server

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"
	rt "runtime/metrics"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/metrics/expose"
)

// WriteMetrics writes what is counted and timed, as OpenMetrics or in Prometheus' text format. It disturbs no shard.
func (p *process) WriteMetrics(w io.Writer, openMetrics bool) error {
	at := p.sample()
	in := expose.Input{
		Now: at.at, Started: p.started,
		Build: expose.Build{
			Version: p.opts.Version, Go: runtime.Version(), Engine: p.choice.Engine, Tier: p.choice.Tier,
		},
		Config: p.configSample(), TLS: p.tlsSample(), Runtime: runtimeSample(), Process: processSample(),
	}
	for i, m := range at.shards {
		st := &at.loops[i]
		in.Shards = append(in.Shards, expose.Shard{
			Metrics: m, Syscalls: st.Syscalls, Turns: st.Polls, Events: st.Events,
			NoBuffers: st.NoBufs, Stale: st.Stale, Overruns: p.sockets.dropped(i),
		})
	}
	for k := range metrics.SeriesKinds {
		in.Series[k] = p.metrics.Series(k)
	}
	return expose.Write(w, in, openMetrics)
}

// configSample is the configuration's state.
func (p *process) configSample() expose.Config {
	st := p.control.Status()
	c := expose.Config{
		Generation: st.Snapshot.Generation, Created: st.Snapshot.Created,
		Routes: len(st.Config.Routes), TCPRoutes: len(st.Config.Streams), UDPRoutes: len(st.Config.Datagrams),
		Services: len(st.Snapshot.Services),
		Attempts: st.Attempts, Failed: st.Failed, InForce: st.Refused == nil,
	}
	for i := range st.Snapshot.Listeners {
		if !st.Snapshot.Listeners[i].Vacant() {
			c.Listeners++
		}
	}
	if st.Last != nil {
		c.LastAttempt = st.Last.At
	}
	return c
}

// runtimeSample asks the Go runtime, without stopping the world.
func runtimeSample() expose.Runtime {
	samples := []rt.Sample{
		{Name: "/sched/goroutines:goroutines"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/allocs:objects"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	rt.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != rt.KindUint64 { // a runtime that does not know it
			return 0
		}
		return samples[i].Value.Uint64()
	}
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	return expose.Runtime{
		Goroutines: value(0), HeapBytes: value(1), AllocatedBytes: value(2), AllocatedObjects: value(3),
		GCCycles: value(4), GCPause: gc.PauseTotal,
	}
}

// processSample asks the kernel. What it does not tell is 0.
func processSample() expose.Process {
	s := expose.Process{DescriptorsAtMost: descriptors()}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		s.UserTime, s.SystemTime = time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
	}
	s.ResidentBytes = uint64(resident())
	s.Descriptors = openDescriptors()
	return s
}

// openDescriptors is how many files are open. Since Linux 6.2 the directory's size tells; before, they are counted.
func openDescriptors() int {
	const all = "/proc/self/fd"
	if info, err := os.Stat(all); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	return max(0, entries(all)-1) // without the one that looks
}

// entries is how many files a directory has; 0 if it cannot be read.
func entries(dir string) (n int) {
	d, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		n += len(names)
		if err != nil {
			return n
		}
	}
}
