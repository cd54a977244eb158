package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	"github.com/uringproxy/uringproxy/perf/peer"
)

//go:embed configs
var configs embed.FS

// bench is the processes of one comparison and the folder they live in.
type bench struct {
	*peer.Group
	o    *options
	idle []net.Conn
}

// sizes are the files that the upstream serves.
var sizes = map[string]int{"small": 100, "64k": 64 << 10, "1m": 1 << 20}

func newBench(o *options) (*bench, error) {
	if sizes[o.path] == 0 {
		return nil, fmt.Errorf("-path %s: must be small, 64k or 1m", o.path)
	}
	for _, tool := range []string{"wrk", "nginx", o.nginx, o.haproxy, "taskset"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s cannot be run: apt-get install wrk nginx haproxy util-linux", tool)
		}
	}
	group, err := peer.NewGroup("compare")
	if err != nil {
		return nil, err
	}
	for name, size := range sizes {
		if err := os.WriteFile(filepath.Join(group.Dir, name), bytes.Repeat([]byte{'x'}, size), 0o644); err != nil {
			group.Stop()
			return nil, err
		}
	}
	return &bench{Group: group, o: o}, nil
}

// stop closes the idle connections and ends every process.
func (b *bench) stop() {
	for _, c := range b.idle {
		c.Close()
	}
	b.Stop()
}

// start starts the upstream and the proxies that are compared.
func (b *bench) start() ([]*target, error) {
	if b.o.binary == "" {
		var err error
		if b.o.binary, err = peer.Build(b.Dir); err != nil {
			return nil, err
		}
	}
	upstream, err := peer.FreePort()
	if err != nil {
		return nil, err
	}
	if _, err := b.launch("upstream.conf", b.o.load, upstream, upstream, "nginx", "-e", "stderr", "-c"); err != nil {
		return nil, err
	}
	ours := func(name, engine string) proxy {
		command := []string{b.o.binary, "run", "--shards", "1", "--engine", engine, "--config"}
		return proxy{name, "uringproxy.toml", command}
	}
	nginx := proxy{"nginx", "nginx.conf", []string{b.o.nginx, "-e", "stderr", "-c"}}
	haproxy := proxy{"haproxy", "haproxy.cfg", []string{b.o.haproxy, "-q", "-f"}}
	proxies := []proxy{nginx, haproxy, ours("uringproxy uring", "uring"), ours("uringproxy epoll", "epoll")}
	if b.o.idle > 0 {
		proxies = []proxy{ours("uring", "uring"), ours("uring with idle", "uring")}
	}
	var targets []*target
	for i, p := range proxies {
		t, err := b.proxy(p, upstream)
		if err != nil {
			return nil, err
		}
		if b.o.idle > 0 && i == 1 {
			if err := b.openIdle(t); err != nil {
				return nil, err
			}
		}
		targets = append(targets, t)
	}
	return targets, nil
}

type proxy struct {
	name, config string
	command      []string // the configuration's path is put behind
}

func (b *bench) proxy(p proxy, upstream int) (*target, error) {
	port, err := peer.FreePort()
	if err != nil {
		return nil, err
	}
	pid, err := b.launch(p.config, b.o.proxies, port, upstream, p.command...)
	if err != nil {
		return nil, err
	}
	return &target{name: p.name, pid: pid, url: fmt.Sprintf("http://127.0.0.1:%d/%s", port, b.o.path)}, nil
}

// launch fills a configuration in, starts a command with it on a core, and waits until it answers.
func (b *bench) launch(config string, core, port, upstream int, command ...string) (int, error) {
	t, err := template.ParseFS(configs, "configs/"+config)
	if err != nil {
		return 0, err
	}
	file := filepath.Join(b.Dir, fmt.Sprintf("%d-%s", port, config))
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	err = t.Execute(f, map[string]any{"Port": port, "Upstream": upstream, "Dir": b.Dir})
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("write %s: %w", config, err)
	}
	p, err := b.Start(core, exec.Command(command[0], append(command[1:], file)...))
	if err != nil {
		return 0, err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/%s", port, b.o.path)
	if err := p.Await(context.Background(), url, "", 5*time.Second); err != nil {
		return 0, err
	}
	return p.Pid(), nil
}

// openIdle opens connections that make one request each and then stay.
func (b *bench) openIdle(t *target) error {
	addr := t.url[len("http://"):]
	addr = addr[:bytes.IndexByte([]byte(addr), '/')]
	for range b.o.idle {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return fmt.Errorf("open idle connection %d: %w", len(b.idle), err)
		}
		b.idle = append(b.idle, c)
		fmt.Fprintf(c, "GET /small HTTP/1.1\r\nHost: %s\r\n\r\n", addr)
		res, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), nil)
		if err != nil {
			return fmt.Errorf("idle connection %d: %w", len(b.idle), err)
		}
		res.Body.Close()
	}
	return nil
}
