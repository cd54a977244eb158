package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
)

// phaseSlack is how much longer than its length a phase may take: the generator's own patience, and more.
const phaseSlack = 20 * time.Second

// serveLoad is the whole life of the load process: it opens connections as its argument says, and runs the phases that
// come on stdin, one a line, each answered by a line on stdout.
func serveLoad(config string, phases io.Reader, results io.Writer) error {
	var cfg load.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("read load: %w", err)
	}
	g, err := load.New(cfg)
	if err != nil {
		return err
	}
	defer g.Close()
	in, out := json.NewDecoder(phases), json.NewEncoder(results)
	for {
		var p load.Phase
		if err := in.Decode(&p); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read phase: %w", err)
		}
		r, err := g.Run(p)
		if err != nil {
			return err
		}
		if err := out.Encode(r); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
}

// loader is the load process, seen from the one that measures.
type loader struct {
	process *peer.Process
	in      io.WriteCloser
	results chan result
}

type result struct {
	*load.Result
	err error
}

func startLoader(g *peer.Group, core int, cfg load.Config) (*loader, error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("write load: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	cmd := exec.Command(self, "load", string(text))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	p, err := g.Start(core, cmd)
	if err != nil {
		return nil, err
	}
	l := &loader{process: p, in: in, results: make(chan result)}
	go l.read(out)
	return l, nil
}

// read passes results on until the process ends.
func (l *loader) read(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		text, err := lines.ReadBytes('\n')
		r := result{Result: new(load.Result), err: err}
		if err == nil {
			r.err = json.Unmarshal(text, r.Result)
		}
		select {
		case l.results <- r:
		case <-l.process.Ended:
			return
		}
		if err != nil {
			return
		}
	}
}

// begin has a phase run. Its result has to be taken from wait.
func (l *loader) begin(p load.Phase) error {
	if err := json.NewEncoder(l.in).Encode(p); err != nil {
		return l.process.Failure("no phase taken")
	}
	return nil
}

// wait waits for the result of the phase that was begun.
func (l *loader) wait(ctx context.Context, p load.Phase) (*load.Result, error) {
	select {
	case r := <-l.results:
		if r.err != nil {
			return nil, l.process.Failure("no result: " + r.err.Error())
		}
		return r.Result, nil
	case <-l.process.Ended:
		return nil, l.process.Failure("no result")
	case <-time.After(p.Length + phaseSlack):
		return nil, l.process.Failure("no result in time")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
