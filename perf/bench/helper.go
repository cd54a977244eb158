package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/origin"
	"github.com/uringproxy/uringproxy/perf/peer"
)

// HelperArgument is the first argument of "uringproxy bench" when it is called by itself, to be the load generator or
// the upstream.
const HelperArgument = "helper"

// errHelper is for those who try what is not meant for them.
var errHelper = errors.New("bench helper is for uringproxy itself; see: uringproxy help bench")

// Help is the whole life of a helper. It reads what it is to do from args and in, answers on out, and returns when in
// ends, which it does at the latest when the one who measures does.
func Help(args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "load":
		return serveLoad(args[1], in, out)
	case len(args) == 2 && args[0] == "flood":
		if err := standBack(); err != nil {
			return err
		}
		return serveLoad(args[1], in, out)
	case len(args) == 1 && args[0] == "upstream":
		return serveUpstream(in, out)
	}
	return errHelper
}

// serveLoad opens connections as config says, and runs the phases that come on in, one a line, each answered by a line
// on out.
func serveLoad(config string, in io.Reader, out io.Writer) error {
	var cfg load.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("read load: %w", err)
	}
	g, err := load.Start(cfg)
	if err != nil {
		return err
	}
	defer g.Close()
	phases, results := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var p load.Phase
		if err := phases.Decode(&p); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read phase: %w", err)
		}
		r, err := g.Run(p)
		if err != nil {
			return err
		}
		if err := results.Encode(r); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
}

// standBack has this process run only when nobody else wants its core.
func standBack() error {
	tasks, err := ownTasks()
	for _, task := range tasks {
		attributes := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
		if e := unix.SchedSetAttr(task, &attributes, 0); e != nil && e != unix.ESRCH {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("leave the core to others: %w", err)
	}
	return nil
}

// serveUpstream serves all services until in ends, and tells their ports on out.
func serveUpstream(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	services := slices.Clone(upstreams)
	for i := range services {
		services[i].Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	o, err := origin.Listen(services...)
	if err != nil {
		return err
	}
	var told []service
	for i, addr := range o.Addrs() {
		told = append(told, service{services[i].Name, int(addr.Port())})
	}
	if err := json.NewEncoder(out).Encode(told); err != nil {
		return fmt.Errorf("tell ports: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends
		cancel()
	}()
	return o.Serve(ctx)
}

// helper is a helper's process, seen from the one that measures.
type helper struct {
	process *peer.Process
	in      io.WriteCloser
	out     io.Reader
}

// startHelper starts this program once more, on the load generator's core.
func (b *bench) startHelper(args ...string) (*helper, error) {
	cmd := exec.Command(b.self, append([]string{"bench", HelperArgument}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	// A pipe of our own: that of the command would be closed when the process ends, read or not.
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	cmd.Stdout = theirs
	p, err := b.group.Start(b.o.LoadCore, cmd)
	theirs.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go func() {
		<-p.Ended
		in.Close()
	}()
	return &helper{p, in, out}, nil
}

// startUpstream starts the upstream's process and waits until it listens.
func (b *bench) startUpstream() error {
	h, err := b.startHelper("upstream")
	if err != nil {
		return err
	}
	b.upstream = h.process
	if err := json.NewDecoder(h.out).Decode(&b.services); err != nil || len(b.services) != len(upstreams) {
		<-h.process.Ended
		return h.process.Failure("the upstream does not start")
	}
	return nil
}
