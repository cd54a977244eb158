package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
)

// kind is a proxy that can be measured: how it is configured, started, and told of a change.
type kind struct {
	name    string // on the command line and in results
	program string // what --peer names, and what PATH is searched for
	ours    bool   // this very program
	version string // the argument that makes it tell its version
	files   []file // the first is what a change rewrites
	args    func(s *site) []string
	signal  syscall.Signal // that makes it read its files again; 0: it watches them
	changes bool           // it can be given changes while it runs
	tls     inquiry        // whether it was built with TLS; zero: always
	// module is what has to be loaded to pass on connections and datagrams, if anything, of a program that may or may
	// not be able to, which is an error; nil: nothing has to be.
	module func(program string) (string, error)
	cannot map[load.Wire]string // what it cannot pass on, and why
}

// inquiry is an argument with which a program is run, and a word that it says if it can do something.
type inquiry struct{ argument, word string }

// oursProgram is how our own program is named among peers, and baseProgram another build of it.
const (
	oursProgram = "uringproxy"
	baseProgram = "base"
)

func uringproxy(program, engine string) kind {
	return kind{
		name: program + "-" + engine, program: program, ours: program == oursProgram, version: "version",
		files: []file{{"uringproxy.toml", unrelatedTOML}}, signal: syscall.SIGHUP, changes: true,
		args: func(s *site) []string {
			return []string{"run", "--shards", "1", "--engine", engine, "--config", s.path("uringproxy.toml")}
		},
	}
}

// kinds are all proxies. The signals are those that the proxies' own reload commands send in the end; without the
// commands, which read the whole configuration first, reloads are cheaper.
func kinds() []kind {
	return []kind{
		uringproxy(oursProgram, "uring"), uringproxy(oursProgram, "epoll"),
		uringproxy(baseProgram, "uring"), uringproxy(baseProgram, "epoll"),
		{
			name: "nginx", program: "nginx", version: "-v", tls: inquiry{"-V", "--with-http_ssl_module"},
			module: nginxStream,
			files:  []file{{"nginx.conf", unrelatedNginx}}, signal: syscall.SIGHUP, changes: true,
			args: func(s *site) []string { // a build that was never installed has no folder of its own
				return []string{"-p", s.path("."), "-e", "stderr", "-c", s.path("nginx.conf")}
			},
		},
		{
			name: "haproxy", program: "haproxy", version: "-v", tls: inquiry{"-vv", "+OPENSSL"},
			files: []file{{"hosts.map", unrelatedMap}, {"haproxy.cfg", nil}}, signal: syscall.SIGUSR2, changes: true,
			cannot: map[load.Wire]string{load.Datagrams: "it does not proxy UDP"},
			args: func(s *site) []string {
				if s.Changing { // only a master can be told to read again
					return []string{"-W", "-q", "-f", s.path("haproxy.cfg")}
				}
				return []string{"-q", "-f", s.path("haproxy.cfg")}
			},
		},
		{
			name: "traefik", program: "traefik", version: "version",
			files: []file{{"routes.yml", unrelatedTraefik}}, changes: true, args: traefikArgs,
		},
		{
			name: "caddy", program: "caddy", version: "version", files: []file{{"Caddyfile", unrelatedCaddy}},
			cannot: map[load.Wire]string{
				load.Echo: caddyStreams, load.Bulk: caddyStreams, load.Datagrams: caddyStreams,
			},
			args: func(s *site) []string {
				return []string{"run", "--adapter", "caddyfile", "--config", s.path("Caddyfile")}
			},
		},
		{
			name: "envoy", program: "envoy", version: "--version", files: []file{{"envoy.yaml", unrelatedEnvoy}},
			args: func(s *site) []string {
				return []string{"--concurrency", "1", "--disable-hot-restart", "--log-level", "error",
					"--config-path", s.path("envoy.yaml")}
			},
		},
	}
}

const caddyStreams = "it passes on only HTTP, without a module that does not come with it"

// traefikArgs are the part of Traefik's configuration that never changes.
func traefikArgs(s *site) []string {
	transport := ""
	if s.UDP() {
		transport = "/udp"
	}
	return []string{
		fmt.Sprintf("--entryPoints.web.address=127.0.0.1:%d%s", s.Port, transport),
		"--entryPoints.web.transport.respondingTimeouts.readTimeout=0",
		"--entryPoints.web.transport.respondingTimeouts.idleTimeout=600s",
		fmt.Sprintf("--serversTransport.maxIdleConnsPerHost=%d", s.Kept),
		"--providers.file.filename=" + s.path("routes.yml"),
		"--providers.file.watch=" + strconv.FormatBool(s.Changing),
		"--providers.providersThrottleDuration=10ms", // 2 s by default: too slow for ten changes a second
		"--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=ERROR",
	}
}

func unrelatedTOML(s *site) (b []byte) {
	s.each(func(n int) {
		b = append(b, "\n[routes.r"...)
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, "]\nhost = \""...)
		b = appendHost(b, n)
		b = append(b, "\"\nservice = \"a\"\n"...)
	})
	return b
}

func unrelatedNginx(s *site) []byte {
	begin := fmt.Sprintf("    server { # %%d\n        listen 127.0.0.1:%d;\n        server_name ", s.Port)
	return s.blocks(nil, begin, " ", ";\n        location / { proxy_pass http://a; }\n    }\n")
}

func unrelatedMap(s *site) (b []byte) {
	s.each(func(n int) { b = append(appendHost(b, n), " a\n"...) })
	return b
}

func unrelatedTraefik(s *site) (b []byte) {
	s.each(func(n int) {
		b = append(b, "    r"...)
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, ": {rule: \"Host(`"...)
		b = appendHost(b, n)
		b = append(b, "`)\", service: a}\n"...)
	})
	return b
}

func unrelatedCaddy(s *site) (b []byte) {
	b = s.blocks(b, "\t@r%d host ", " ", "\n")
	for n := range (s.count + hostsPerBlock - 1) / hostsPerBlock {
		b = fmt.Appendf(b, "\thandle @r%d {\n\t\timport to %d\n\t}\n", n, s.Services[0].Port)
	}
	return b
}

func unrelatedEnvoy(s *site) []byte {
	return s.blocks(nil, "            - name: r%d\n              domains: [", ", ",
		"]\n              routes: [{match: {prefix: \"/\"}, route: {cluster: a, timeout: 0s}}]\n")
}

// writeAll writes all files of a proxy.
func (k *kind) writeAll(s *site) error {
	for i := range k.files {
		if err := k.files[i].write(s); err != nil {
			return err
		}
	}
	return nil
}

// apply writes what a change changes, and tells the process.
func (k *kind) apply(s *site, p *peer.Process) error {
	if err := k.files[0].write(s); err != nil {
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

// shownRoutes is how many unrelated routes are shown of many.
const shownRoutes = 2

// text is the configuration as it is shown: the command, and each file with only some of the unrelated routes.
func (k *kind) text(s *site) (string, error) {
	shown := *s
	shown.count = min(s.count, shownRoutes)
	var b strings.Builder
	fmt.Fprintf(&b, "$ %s %s\n", k.program, strings.Join(k.args(s), " "))
	for i := range k.files {
		if text, err := k.files[i].render(&shown); err != nil {
			return "", err
		} else if len(text) > 0 {
			fmt.Fprintf(&b, "\n== %s\n%s", k.files[i].name, text)
		}
	}
	if s.count > shown.count {
		fmt.Fprintf(&b, "\n(shown with %d of %d unrelated routes)\n", shown.count, s.count)
	}
	return b.String(), nil
}

// kindNames are the names of all kinds.
func kindNames() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// programNames are what --peer may name.
func programNames() (names []string) {
	for _, k := range kinds() {
		if !slices.Contains(names, k.program) {
			names = append(names, k.program)
		}
	}
	return names
}
