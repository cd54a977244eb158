package main

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"text/template"
	"time"
)

//go:embed configs
var configs embed.FS

// bench is the processes of one comparison and the folder they live in.
type bench struct {
	o     *options
	dir   string
	once  sync.Once
	procs []*exec.Cmd
	idle  []net.Conn
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
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers give up root
		return nil, err
	}
	for name, size := range sizes {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{'x'}, size), 0o644); err != nil {
			return nil, err
		}
	}
	return &bench{o: o, dir: dir}, nil
}

// stop ends every process, and removes the folder.
func (b *bench) stop() {
	b.once.Do(func() {
		for _, c := range b.idle {
			c.Close()
		}
		for _, p := range b.procs {
			_ = p.Process.Signal(syscall.SIGTERM) // it may have ended by itself
			_ = p.Wait()
		}
		_ = os.RemoveAll(b.dir)
	})
}

// start starts the upstream and the proxies that are compared.
func (b *bench) start() ([]*target, error) {
	if b.o.binary == "" {
		b.o.binary = filepath.Join(b.dir, "uringproxy")
		build := exec.Command("go", "build", "-o", b.o.binary, "./cmd/uringproxy")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("build uringproxy: %w", err)
		}
	}
	upstream := freePort()
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
	port := freePort()
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
	file := filepath.Join(b.dir, fmt.Sprintf("%d-%s", port, config))
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	err = t.Execute(f, map[string]any{"Port": port, "Upstream": upstream, "Dir": b.dir})
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("write %s: %w", config, err)
	}
	args := append([]string{"-c", strconv.Itoa(core)}, append(command, file)...)
	cmd := exec.Command("taskset", args...)
	var output bytes.Buffer
	cmd.Stderr = &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	b.procs = append(b.procs, cmd)
	url := fmt.Sprintf("http://127.0.0.1:%d/%s", port, b.o.path)
	for range 200 {
		if res, err := http.Get(url); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return cmd.Process.Pid, nil
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	return 0, fmt.Errorf("%s does not answer: %s", command[0], output.String())
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

// freePort is a port of the loopback interface that nobody uses now.
func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
