// Command reload measures how much the latency of requests moves while the configuration changes: uringproxy, nginx,
// HAProxy and Traefik with the same ten thousand routes.
//
//	go run ./perf/reload                                    what is on PATH, and uringproxy from this source
//	go run ./perf/reload --peer nginx=PATH --peer traefik=PATH
//	go run ./perf/reload --only uringproxy-uring --seconds 2
//	go run ./perf/reload --json
//
// Each proxy has one core for all its processes; the load generator, the upstream and the one who changes the
// configuration share another. Requests are due at a constant rate and their latency counts from then, over 64 kept
// connections; 16 streamed responses run beside them and are to live through everything. Phases without changes and
// phases with ten changes a second take turns, and what counts is the ratio of p99 within a pair. A change takes one of
// the unrelated routes away and adds another; in the second half of the pairs it also gives the loaded route the other
// of two services. Whether a change is live is found out by asking for the new route.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/peer"
)

type options struct {
	peers     programs
	only      string
	apply     string
	seconds   float64
	length    time.Duration // seconds as a duration
	pairs     int
	routes    int
	changes   float64
	rate      int
	share     float64
	conns     int
	streams   int
	port      int
	proxyCore int
	loadCore  int
	json      bool
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "load":
		err = serveLoad(os.Args[2], os.Stdin, os.Stdout)
	case len(os.Args) == 4 && os.Args[1] == "upstream":
		err = serveUpstreams(os.Args[2:])
	default:
		err = mainRun()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reload:", err)
		os.Exit(1)
	}
}

func mainRun() error {
	o := options{peers: programs{}}
	flag.Var(o.peers, "peer", "`NAME=PATH` of uringproxy, nginx, haproxy or traefik; may be given several times")
	flag.StringVar(&o.only, "only", "", "proxies to measure, as uringproxy-uring,nginx; all when empty")
	flag.StringVar(&o.apply, "apply", "hup", "how uringproxy learns of a change: hup (SIGHUP) or watch (it watches)")
	flag.Float64Var(&o.seconds, "seconds", 10, "length of a phase")
	flag.IntVar(&o.pairs, "pairs", 6, "pairs of phases without and with changes")
	flag.IntVar(&o.routes, "routes", 10_000, "unrelated routes")
	flag.Float64Var(&o.changes, "changes", 10, "changes a second")
	flag.IntVar(&o.rate, "rate", 0, "requests a second; 0: a share of what each proxy can do")
	flag.Float64Var(&o.share, "share", 0.6, "that share")
	flag.IntVar(&o.conns, "conns", 64, "connections for requests")
	flag.IntVar(&o.streams, "streams", 16, "streamed responses")
	flag.IntVar(&o.port, "port", 0, "first of three ports of the loopback interface; 0: whatever is free")
	flag.IntVar(&o.proxyCore, "proxy-core", 0, "core of the proxies")
	flag.IntVar(&o.loadCore, "load-core", 1, "core of everything else")
	flag.BoolVar(&o.json, "json", false, "write everything as JSON")
	flag.Parse()
	if err := o.check(flag.Args()); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := measureAll(ctx, &o)
	if result != nil {
		if o.json {
			err = errors.Join(err, result.writeJSON(os.Stdout))
		} else {
			result.writeTable(os.Stdout)
		}
	}
	return err
}

func (o *options) check(rest []string) error {
	o.length = time.Duration(o.seconds * float64(time.Second))
	switch {
	case len(rest) > 0:
		return fmt.Errorf("found argument %q, expected flags only", rest[0])
	case o.apply != "hup" && o.apply != "watch":
		return fmt.Errorf("--apply: found %q, expected hup or watch", o.apply)
	case o.length <= 0 || o.length > time.Hour:
		return fmt.Errorf("--seconds: found %g, expected more than 0 and at most 3600", o.seconds)
	case o.pairs < 1 || o.routes < 1 || o.conns < 1 || o.streams < 0 || o.rate < 0:
		return errors.New("--pairs, --routes and --conns are 1 or more, --streams and --rate 0 or more")
	case o.changes <= 0 || o.changes > 1000:
		return fmt.Errorf("--changes: found %g, expected more than 0 and at most 1000", o.changes)
	case o.share <= 0 || o.share > 1:
		return fmt.Errorf("--share: found %g, expected more than 0 and at most 1", o.share)
	case o.port < 0 || o.port > 65533:
		return fmt.Errorf("--port: found %d, expected 1 to 65533, or 0", o.port)
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if all := kinds(0); name != "" && !slices.ContainsFunc(all, func(k kind) bool { return k.name == name }) {
			return fmt.Errorf("--only: found %q, expected some of uringproxy-uring, uringproxy-epoll, nginx, haproxy, "+
				"traefik", name)
		}
	}
	return nil
}

// measureAll measures one proxy after the other. What was found out is returned even if there is an error.
func measureAll(ctx context.Context, o *options) (*run, error) {
	ports, err := choosePorts(o.port)
	if err != nil {
		return nil, err
	}
	group, err := peer.NewGroup("reload")
	if err != nil {
		return nil, err
	}
	defer group.Stop()
	apply := syscall.SIGHUP
	if o.apply == "watch" {
		apply = 0
	}
	result := &run{
		Routes: o.routes, Conns: o.conns, Streams: o.streams, Length: o.length, Rate: o.changes, Apply: o.apply,
	}
	chosen, err := choose(o, kinds(apply), group.Dir, result)
	if err != nil {
		return nil, err
	}
	if err := pinSelf(o.loadCore); err != nil {
		return nil, err
	}
	if err := startUpstreams(group, o.loadCore, ports); err != nil {
		return nil, err
	}
	var failed []error
	for _, c := range chosen {
		r := measure(ctx, o, group, &c.kind, c.program, ports)
		result.Reports = append(result.Reports, r)
		if ctx.Err() != nil {
			return result, errors.New("interrupted")
		}
		if r.Error != "" {
			failed = append(failed, fmt.Errorf("%s could not be measured", r.Name))
		}
	}
	return result, errors.Join(failed...)
}

type candidate struct {
	kind    kind
	program string
}

// choose finds the programs of the proxies to measure, and builds our own. Those that are missing are named.
func choose(o *options, all []kind, dir string, result *run) ([]candidate, error) {
	var chosen []candidate
	for _, k := range all {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), k.name) {
			continue
		}
		if k.program == "uringproxy" && o.peers[k.program] == "" {
			program, err := peer.Build(dir)
			if err != nil {
				return nil, err
			}
			o.peers[k.program] = program
		}
		program, err := o.peers.find(&k)
		if err != nil {
			progress("%v", err)
			result.Missing = append(result.Missing, err.Error())
			continue
		}
		if program, err = filepath.Abs(program); err != nil { // the master of HAProxy starts itself again
			return nil, fmt.Errorf("find %s: %w", k.name, err)
		}
		chosen = append(chosen, candidate{k, program})
	}
	if len(chosen) == 0 {
		return nil, errors.New("there is no proxy to measure")
	}
	return chosen, nil
}

// choosePorts are the ports of the proxy and of the two upstreams.
func choosePorts(first int) (ports [3]int, err error) {
	for i := range ports {
		if first == 0 {
			if ports[i], err = peer.FreePort(); err != nil {
				return ports, err
			}
			continue
		}
		ports[i] = first + i
		if err := peer.CheckPort(ports[i]); err != nil {
			return ports, fmt.Errorf("%w; choose others with --port", err)
		}
	}
	return ports, nil
}

// pinSelf keeps this process off the proxies' core. Threads that are made later inherit it.
func pinSelf(core int) error {
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return fmt.Errorf("find own threads: %w", err)
	}
	var cores unix.CPUSet
	cores.Set(core)
	for _, task := range tasks {
		id, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			return fmt.Errorf("find own threads: %w", err)
		}
		if err := unix.SchedSetaffinity(id, &cores); err != nil && err != unix.ESRCH {
			return fmt.Errorf("keep to core %d: %w", core, err)
		}
	}
	return nil
}

// startUpstreams starts the process of both upstreams and waits until they listen.
func startUpstreams(g *peer.Group, core int, ports [3]int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.Command(self, "upstream", fmt.Sprintf("127.0.0.1:%d", ports[1]), fmt.Sprintf("127.0.0.1:%d", ports[2]))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err)
	}
	p, err := g.Start(core, cmd)
	if err != nil {
		return err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		<-p.Ended
		return p.Failure("the upstream does not start")
	}
	return nil
}

// progress tells the one who waits what is being done.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
