package server

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/plan"
)

// banner says what runs where: a line for the log, and on the standard output what a person wants to know first.
func (s *Server) banner() {
	var at []string
	for i := range s.snap.Listeners {
		at = append(at, s.snap.Listeners[i].Name+"="+where(&s.snap.Listeners[i]))
	}
	s.log.Info("ready", "listeners", strings.Join(at, " "), "engine", s.choice.Engine, "tier", s.choice.Tier,
		"shards", len(s.shards), "routes", len(s.cfg.Routes), "tcp_routes", len(s.cfg.Streams),
		"udp_routes", len(s.cfg.Datagrams), "services", len(s.cfg.Services))
	s.log.Info("engine", "why", s.choice.Why, "tls", s.tlsMode())
	w := s.opts.Stdout
	fmt.Fprintf(w, "\nuringproxy %s\n\n", s.opts.Version)
	for i := range s.snap.Listeners {
		fmt.Fprintf(w, "  %-10s %s\n", s.snap.Listeners[i].Name, url(&s.snap.Listeners[i]))
	}
	fmt.Fprintf(w, "  %-10s %s, %s: %s\n", "engine", s.choice.Engine, words.Count(len(s.shards), "shard"), s.choice.Why)
	if slices.ContainsFunc(s.snap.Listeners, func(l plan.Listener) bool { return l.TLS != nil }) {
		fmt.Fprintf(w, "  %-10s %s\n", "tls", s.tlsMode())
	}
	fmt.Fprintf(w, "  %-10s %s (%s)\n\n", "config", s.snap.Source, s.contents())
	if len(s.opts.ConfigPaths) == 0 {
		s.hints(w, url(&s.snap.Listeners[0]))
	}
}

// contents are how many of what the configuration has.
func (s *Server) contents() string {
	all := []string{words.Count(len(s.cfg.Routes), "route")}
	if n := len(s.cfg.Streams); n > 0 {
		all = append(all, words.Count(n, "tcp route"))
	}
	if n := len(s.cfg.Datagrams); n > 0 {
		all = append(all, words.Count(n, "udp route"))
	}
	return strings.Join(append(all, words.Count(len(s.cfg.Services), "service")), ", ")
}

// hints tell a newcomer what to try next.
func (s *Server) hints(w io.Writer, base string) {
	fmt.Fprintf(w, `Two demo upstreams answer behind it. Try

  curl -i %[1]s/              the page of one upstream; ask again, and the other one answers
  curl %[1]s/json             the request as an upstream sees it, X-Forwarded-For included
  curl -N %[1]s/stream        a response that comes bit by bit

and then your own configuration:

  cp examples/two-upstreams.toml my.toml     every key: docs/configuration.md
  %[2]s check --config my.toml
  %[2]s run --config my.toml

Ctrl-C ends it.

`, base, os.Args[0])
}

// url is what to type to reach l from this machine, or what it is where that says less.
func url(l *plan.Listener) string {
	if l.Unix != "" {
		return "unix:" + l.Unix
	}
	addr := l.Addr
	if addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	}
	return scheme(l) + "://" + addr.String()
}

// scheme is how an address of l begins. Where the first bytes decide it is TCP: whatever comes, comes by that.
func scheme(l *plan.Listener) string {
	switch {
	case l.Protocol == plan.UDP:
		return "udp"
	case l.Protocol == plan.HTTP && l.TLS != nil:
		return "https"
	case l.Protocol == plan.HTTP:
		return "http"
	}
	return "tcp"
}
