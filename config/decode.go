package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/plan"
)

// Bounds that more than one place needs.
const (
	maxWait        = 24 * time.Hour
	maxHeaderBytes = 65535
)

// settings reads the tables that there is one of each.
func (d *decoder) settings(t *table, c *Config) {
	d.engine(t.sub("engine", "how the proxy runs on this machine"), &c.Engine)
	d.limits(t.sub("limits", "what clients and upstreams may make the proxy hold"), c)
	d.timeouts(t.sub("timeouts", "how long is waited"), &c.Timeouts)
	d.log(t.sub("log", "what is written where"), c)
	d.forward(t.sub("forward", "what endpoints are told about the client"), &c.Forward)
	d.paths(t.sub("paths", "in which form paths are matched and forwarded"), &c.Paths)
	d.admin(t.sub("admin", "where the process answers questions about itself"), &c.Admin)
	d.reload(t.sub("reload", "when the configuration is read again"), &c.Reload)
	for _, group := range groupNames {
		if raw, ok := t.get(group); ok {
			d.table(group, raw, "a table, ["+group+"]") // empty, or no table at all
		}
	}
	t.done()
}

func (d *decoder) engine(t *table, e *Engine) {
	t.choice("backend", "what moves the bytes: io_uring where it works and else epoll, or this one or none", &e.Backend,
		"auto", "uring", "epoll")
	t.choice("tier", "hold io_uring to the features of older kernels; for tests", &e.Tier, "auto", "T1", "T2", "T3")
	t.count("shards", "threads that serve; 0: one for each usable core", &e.Shards, 0, 256)
	t.flag("pin", "bind each shard to one core", &e.Pin)
	t.done()
}

func (d *decoder) limits(t *table, c *Config) {
	l, h := &c.Limits, &c.Handshakes
	line, header, rate := int64(l.LineBytes), int64(l.HeaderBytes), int64(l.BodyRateBytes)
	t.count("max_connections", "clients connected at one time; more wait in the kernel's queue",
		&l.Connections, 1, 10_000_000)
	t.count("max_connections_per_ip", "clients connected at one time from one address; 0: no limit",
		&l.ConnectionsPerIP, 0, 10_000_000)
	t.size("line_bytes", "request line; longer ones get 414", &line, 256, maxHeaderBytes)
	t.size("header_bytes", "head of a request or a response; longer ones get 431 or become 502",
		&header, 1024, maxHeaderBytes)
	t.count("header_count", "fields in a head; more get 431 or become 502", &l.HeaderCount, 1, 100) // h1.MaxFields
	t.size("body_bytes", "body of a request; longer ones get 413. 0: no limit", &l.BodyBytes, 0, 1<<50)
	t.count("upstream_idle_connections", "idle connections that are kept for each endpoint",
		&l.UpstreamPool, 0, 1_000_000)
	t.count("upstream_connections", "connections to each endpoint; requests beyond that wait. 0: no limit",
		&l.UpstreamConns, 0, 1_000_000)
	t.count("requests_per_connection", "requests on one client connection, which is then closed. 0: no limit",
		&l.RequestsPerConn, 0, 1_000_000_000)
	t.size("min_body_rate", "least bytes per second of a body, averaged over timeouts.body_rate_window. 0: none",
		&rate, 0, 1<<30)
	t.count("udp_sessions", "UDP clients at one time; datagrams of others are dropped", &l.Sessions, 1, 10_000_000)
	t.count("udp_sessions_per_ip", "UDP clients at one time from one address; 0: no limit",
		&l.SessionsPerIP, 0, 10_000_000)
	t.size("shard_buffer_bytes", "memory for data on its way, for each shard", &l.BuffersPerShard, 1<<20, 3<<30)
	t.count("tls_handshakes", "TLS handshakes at work at one time", &h.InFlight, 1, 1_000_000)
	t.count("tls_handshakes_waiting", "TLS handshakes in line for that; more are refused", &h.Waiting, 0, 10_000_000)
	t.done()
	if _, ok := t.m["line_bytes"]; !ok {
		line = min(line, header)
	}
	if line > header {
		d.at(t.child("line_bytes"), strconv.Quote(formatSize(line)), fmt.Sprintf("at most limits.header_bytes, %q",
			formatSize(header)), "the request line is part of the head")
	}
	l.LineBytes, l.HeaderBytes, l.BodyRateBytes = int(line), int(header), int(rate)
}

func (d *decoder) timeouts(t *table, o *plan.Timeouts) {
	const least = 10 * time.Millisecond
	t.duration("header", "from the first byte of a request to the end of its head; then 408", &o.Header, least, maxWait)
	t.duration("idle", "a client's connection between two requests", &o.Idle, least, maxWait)
	t.duration("connect", "connecting to an endpoint; then 504", &o.Connect, least, maxWait)
	t.duration("first_byte", "from the end of a request to the first byte of its response; then 504",
		&o.FirstByte, least, maxWait)
	t.duration("upstream_idle", "an unused connection to an endpoint, which is then closed",
		&o.UpstreamIdle, least, maxWait)
	t.duration("detect", "for the first bytes that decide what a connection is, and for a PROXY header", &o.Detect,
		least, maxWait)
	t.duration("stream_idle", "while nothing passes on a connection of a tcp route, which is then cut off",
		&o.StreamIdle, least, maxWait)
	t.duration("upgrade_idle", "while nothing passes on a connection after an Upgrade or CONNECT; then it is cut off",
		&o.UpgradeIdle, least, maxWait)
	t.duration("session_idle", "while no datagram passes between a UDP client and its endpoint, which then part",
		&o.SessionIdle, least, maxWait)
	t.duration("response_idle", "between two pieces of a response's body; then it is cut off. 0: no limit",
		&o.ResponseIdle, 0, maxWait)
	t.duration("body_rate_window", "what limits.min_body_rate is averaged over",
		&o.BodyRateWindow, time.Second, maxWait)
	t.duration("linger", "reading on after an early response, so that the client gets to see it", &o.Linger, 0, maxWait)
	t.duration("drain", "what a shutdown waits for running requests", &o.Drain, 0, maxWait)
	t.done()
}

func (d *decoder) log(t *table, c *Config) {
	level := "info"
	t.choice("level", "least level of the program's own messages", &level, "debug", "info", "warn", "error")
	c.LogLevel = map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[level]
	access := t.sub("access", "the access log")
	t.done()
	format := "json"
	access.text("path", `where each request is recorded: "stderr", "stdout" or a file; empty: nowhere`,
		`"stderr", "stdout" or a file's path`, &c.AccessLog.Path)
	access.choice("format", "JSON, or the combined log format", &format, "json", "clf")
	access.done()
	if format == "clf" {
		c.AccessLog.Format = plan.LogCLF
	}
}

func (d *decoder) forward(t *table, f *plan.Forward) {
	t.flag("x_forwarded", "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port", &f.XForwarded)
	t.flag("forwarded", "Forwarded (RFC 7239)", &f.Forwarded)
	t.flag("request_id", "X-Request-Id, which is made up unless a trusted proxy has sent one", &f.RequestID)
	t.flag("via", "Via (RFC 9110, section 7.6.3)", &f.Via)
	t.done()
}

func (d *decoder) paths(t *table, p *plan.Paths) {
	slash, null, merge, forward := "refuse", "refuse", true, "matched"
	t.choice("encoded_slash", "what becomes of %2F and %5C in a path: 400, or they stay as they are", &slash,
		"refuse", "keep")
	t.choice("encoded_nul", "what becomes of %00 in a path: 400, or it stays as it is", &null, "refuse", "keep")
	t.flag("merge_slashes", "slashes in a row become one", &merge)
	t.choice("forward", "the path that endpoints get: the normal form that was matched, or the one that was received",
		&forward, "matched", "received")
	t.done()
	p.Policy.KeepSlash, p.Policy.KeepNUL, p.Policy.KeepDoubles = slash == "keep", null == "keep", !merge
	p.ForwardReceived = forward == "received"
}

func (d *decoder) admin(t *table, a *Admin) {
	const expected = `an address such as "127.0.0.1:9901", "unix:/run/uringproxy/admin.sock" or "off"`
	address := a.Addr.String()
	t.text("address", "where the process answers questions about itself: an address, beyond the loopback only with a "+
		`token, a unix socket as "unix:/run/uringproxy/admin.sock", or "off"`, expected, &address)
	t.text("token_file", "a file with the token that those who ask there have to show; empty: nobody is asked for one",
		"a file's path", &a.TokenFile)
	t.flag("pprof", "offer profiles of the process under /debug/pprof/", &a.Pprof)
	t.done()
	if strings.IndexByte(a.TokenFile, 0) >= 0 {
		d.at(t.child("token_file"), quote(a.TokenFile), "a file's path", "")
	}
	if _, a.Explicit = t.m["address"].(string); !a.Explicit {
		return
	}
	a.Addr = netip.AddrPort{}
	if a.Off = address == "off"; a.Off {
		return
	}
	hint := ""
	if a.Addr, a.Unix, hint = parseListen(address); a.Unix == "" && !a.Addr.IsValid() {
		d.at(t.child("address"), quote(address), expected, hint)
	} else if a.Unix == "" && !a.Addr.Addr().IsLoopback() && a.TokenFile == "" {
		d.at(t.child("address"), quote(address)+", which others than this machine can reach, and no token",
			"an address of the loopback, a unix socket, or admin.token_file beside it",
			"write a token to a file: openssl rand -hex 32 > FILE; chmod 600 FILE")
	}
}

func (d *decoder) reload(t *table, r *Reload) {
	t.flag("watch", "read the configuration again when one of its files changes", &r.Watch)
	t.done()
}

// unsupported tells keys of later versions from misspelt ones, and what to do instead.
func unsupported(path string) (why string, ok bool) {
	for _, k := range []struct{ under, key, why string }{
		{"", "middlewares", "leave the table out"},
		{"routes", "middlewares", "leave the key out"},
		{"tcp_routes", "middlewares", "limits are keys of the route: max_connections, connection_rate"},
		{"udp_routes", "middlewares", "limits are keys of the route: max_connections, connection_rate"},
	} {
		in := parent(path) // a table with a name, unless the key stands at the top
		if parent(in) == k.under && path == child(in, k.key) && (in == "") == (k.under == "") {
			return k.why, true
		}
	}
	return "", false
}
