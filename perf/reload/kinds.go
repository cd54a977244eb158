package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/uringproxy/uringproxy/perf/peer"
)

// kind is a proxy that can be measured: how it is configured, started, and told of a change.
type kind struct {
	name    string // on the command line and in the report
	program string // what --peer names and PATH is searched for; uringproxy is built
	version string // the argument that makes it tell its version
	file    string // what a change rewrites
	render  func(s *site) []byte
	fixed   map[string]func(s *site) []byte // files that stay as they are
	command func(s *site) []string          // its arguments
	signal  syscall.Signal                  // that makes it read its files again; 0: it watches them
}

func ours(engine string, apply syscall.Signal) kind {
	return kind{
		name: "uringproxy-" + engine, program: "uringproxy", version: "version",
		file: "uringproxy.toml", render: (*site).uringproxy, signal: apply,
		command: func(s *site) []string {
			return []string{"run", "--shards", "1", "--engine", engine, "--config", s.path("uringproxy.toml")}
		},
	}
}

// kinds are all proxies, ours told of changes in the given way. The signals are those that the proxies' own reload
// commands send in the end; without the commands, which read the whole configuration first, reloads are cheaper.
func kinds(apply syscall.Signal) []kind {
	return []kind{
		ours("uring", apply),
		ours("epoll", apply),
		{
			name: "nginx", program: "nginx", version: "-v",
			file: "nginx.conf", render: (*site).nginx, signal: syscall.SIGHUP,
			command: func(s *site) []string { return []string{"-e", "stderr", "-c", s.path("nginx.conf")} },
		},
		{
			name: "haproxy", program: "haproxy", version: "-v",
			file: "hosts.map", render: (*site).haproxyMap, signal: syscall.SIGUSR2,
			fixed:   map[string]func(s *site) []byte{"haproxy.cfg": (*site).haproxy},
			command: func(s *site) []string { return []string{"-W", "-q", "-f", s.path("haproxy.cfg")} },
		},
		{
			name: "traefik", program: "traefik", version: "version",
			file: "routes.yml", render: (*site).traefik,
			command: func(s *site) []string {
				return []string{
					fmt.Sprintf("--entryPoints.web.address=127.0.0.1:%d", s.port),
					"--entryPoints.web.transport.respondingTimeouts.readTimeout=0",
					"--providers.file.filename=" + s.path("routes.yml"), "--providers.file.watch=true",
					"--providers.providersThrottleDuration=10ms", // 2 s by default: too slow for ten changes a second
					"--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=ERROR",
				}
			},
		},
	}
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// write puts a file in the place of the one before, which nobody sees half written.
func (s *site) write(name string, text []byte) error {
	next := s.path(name + ".next")
	if err := os.WriteFile(next, text, 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.Rename(next, s.path(name)); err != nil {
		return fmt.Errorf("put configuration in place: %w", err)
	}
	return nil
}

// writeAll writes all files of a proxy.
func (k *kind) writeAll(s *site) error {
	for name, render := range k.fixed {
		if err := s.write(name, render(s)); err != nil {
			return err
		}
	}
	return s.write(k.file, k.render(s))
}

// apply writes what a change changes, and tells the process.
func (k *kind) apply(s *site, p *peer.Process) error {
	if err := s.write(k.file, k.render(s)); err != nil {
		return err
	}
	if k.signal == 0 {
		return nil
	}
	if err := p.Signal(k.signal); err != nil {
		return p.Failure("signal not taken")
	}
	return nil
}

// programs are paths given on the command line, by name.
type programs map[string]string

func (p programs) String() string { return "" }

// Set takes NAME=PATH.
func (p programs) Set(text string) error {
	name, path, found := strings.Cut(text, "=")
	if !found || path == "" {
		return fmt.Errorf("found %q, expected NAME=PATH such as nginx=/opt/nginx/sbin/nginx", text)
	}
	for _, k := range kinds(0) {
		if k.program == name {
			p[name] = path
			return nil
		}
	}
	return fmt.Errorf("found peer %q, expected uringproxy, nginx, haproxy or traefik", name)
}

// find is the path of a kind's program.
func (p programs) find(k *kind) (string, error) {
	name := k.program
	if path := p[name]; path != "" {
		name = path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: not found; give its path with --peer %s=PATH", k.name, k.program)
	}
	return path, nil
}
