package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/uringproxy/uringproxy/plan"
)

// Bounds that more than one place needs.
const (
	maxWait        = 24 * time.Hour
	maxHeaderBytes = 65535
)

func (d *decoder) root(m map[string]any, c *Config) {
	t := &table{d: d, m: m}
	d.engine(t.sub("engine"), &c.Engine)
	d.limits(t.sub("limits"), &c.Limits)
	d.timeouts(t.sub("timeouts"), &c.Timeouts)
	d.log(t.sub("log"), c)
	d.forward(t.sub("forward"), &c.Forward)
	d.reload(t.sub("reload"), &c.Reload)
	listeners, listenerNames := t.named("listeners")
	routes, _ := t.named("routes")
	services, serviceNames := t.named("services")
	t.done()

	for _, s := range listeners {
		c.Listeners = append(c.Listeners, d.listener(s))
	}
	for _, s := range services {
		c.Services = append(c.Services, d.service(s))
	}
	for _, s := range routes {
		c.Routes = append(c.Routes, d.route(s, listenerNames, serviceNames))
	}
	d.required(m, "listeners", "a listener", `add [listeners.web] with address = "127.0.0.1:8080"`)
	d.required(m, "routes", "a route", `add [routes.main] with service = "NAME"`)
	d.required(m, "services", "a service", `add [services.main] with endpoints = ["http://127.0.0.1:3000"]`)
	d.sameAddress(c.Listeners)
	d.sameRequests(c)
}

// required notes that a group of named tables is missing or empty.
func (d *decoder) required(m map[string]any, key, expected, hint string) {
	if group, isTable := m[key].(map[string]any); m[key] == nil || isTable && len(group) == 0 {
		d.atKey(key, "no "+expected[len("a "):], expected, hint)
	}
}

func (d *decoder) engine(t *table, e *Engine) {
	t.choice("backend", &e.Backend, "auto", "uring", "epoll")
	t.choice("tier", &e.Tier, "auto", "T1", "T2", "T3")
	t.count("shards", &e.Shards, 0, 256)
	t.flag("pin", &e.Pin)
	t.done()
}

func (d *decoder) limits(t *table, l *plan.Limits) {
	line, header, rate := int64(l.LineBytes), int64(l.HeaderBytes), int64(l.BodyRateBytes)
	t.count("max_connections", &l.Connections, 1, 10_000_000)
	t.count("max_connections_per_ip", &l.ConnectionsPerIP, 0, 10_000_000)
	t.size("line_bytes", &line, 256, maxHeaderBytes)
	t.size("header_bytes", &header, 1024, maxHeaderBytes)
	t.count("header_count", &l.HeaderCount, 1, 100) // h1.MaxFields
	t.size("body_bytes", &l.BodyBytes, 0, 1<<50)
	t.count("upstream_idle_connections", &l.UpstreamPool, 0, 1_000_000)
	t.count("upstream_connections", &l.UpstreamConns, 0, 1_000_000)
	t.count("requests_per_connection", &l.RequestsPerConn, 0, 1_000_000_000)
	t.size("min_body_rate", &rate, 0, 1<<30)
	t.size("shard_buffer_bytes", &l.BuffersPerShard, 1<<20, 3<<30)
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
	t.duration("header", &o.Header, least, maxWait)
	t.duration("idle", &o.Idle, least, maxWait)
	t.duration("connect", &o.Connect, least, maxWait)
	t.duration("first_byte", &o.FirstByte, least, maxWait)
	t.duration("upstream_idle", &o.UpstreamIdle, least, maxWait)
	t.duration("response_idle", &o.ResponseIdle, 0, maxWait)
	t.duration("body_rate_window", &o.BodyRateWindow, time.Second, maxWait)
	t.duration("linger", &o.Linger, 0, maxWait)
	t.duration("drain", &o.Drain, 0, maxWait)
	t.done()
}

func (d *decoder) log(t *table, c *Config) {
	level := "info"
	t.choice("level", &level, "debug", "info", "warn", "error")
	c.LogLevel = map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[level]
	access := t.sub("access")
	t.done()
	format := "json"
	access.text("path", `"stderr", "stdout" or a file's path`, &c.AccessLog.Path)
	access.choice("format", &format, "json", "clf")
	access.done()
	if format == "clf" {
		c.AccessLog.Format = plan.LogCLF
	}
}

func (d *decoder) forward(t *table, f *plan.Forward) {
	t.flag("x_forwarded", &f.XForwarded)
	t.flag("forwarded", &f.Forwarded)
	t.flag("request_id", &f.RequestID)
	t.flag("via", &f.Via)
	t.done()
}

func (d *decoder) reload(t *table, r *Reload) {
	t.flag("watch", &r.Watch)
	t.done()
}

// unsupported tells keys of later versions from misspelt ones, and what to do instead.
func unsupported(path string) (why string, ok bool) {
	for _, k := range []struct{ under, key, why string }{
		{"", "admin", "leave the table out"},
		{"", "middlewares", "leave the table out"},
		{"", "tcp_routes", "only HTTP is proxied"},
		{"listeners", "tls", "listeners speak plain HTTP"},
		{"routes", "rule", "use host and path_prefix"},
		{"routes", "middlewares", "leave the key out"},
	} {
		in := parent(path) // a table with a name, unless the key stands at the top
		if parent(in) == k.under && path == child(in, k.key) && (in == "") == (k.under == "") {
			return k.why, true
		}
	}
	return "", false
}
