// Package admin is how people and programs ask a running process about itself, and tell it to reload: a small HTTP
// server on the loopback or a unix socket, and the client that the commands use.
//
// Its invariants: it serves nobody but who may already act on this machine (the loopback or a socket of mode 0600, no
// request that a browser was made to send, no name that was made to point here), and it can do the process no harm:
// connections, sizes and times are bounded, and it runs on goroutines of its own, beside the shards.
//
// It knows the process by the interface Process only and imports nothing of ours. It is imported by server and
// cmd/uringproxy, and never reached from the data plane.
package admin

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Process is what the server is asked about. Its methods may be called from any goroutine, several at a time.
type Process interface {
	Status() Status
	// Reload reads the configuration again and says what came of it.
	Reload() Reloaded
	// Ready reports whether new clients are welcome: false while draining.
	Ready() bool
}

// Server answers on one listener.
type Server struct {
	process Process
	local   bool // a unix socket: there is no name by which a browser could reach it
	http    http.Server
	ended   chan struct{}
}

const (
	headTimeout = 5 * time.Second
	readTimeout = 10 * time.Second
	// writeTimeout has to leave time for a reload of a large configuration with names that do not resolve.
	writeTimeout = 2 * time.Minute
	idleTimeout  = 30 * time.Second

	maxHead        = 16 << 10
	maxBody        = 4 << 10
	maxConnections = 64
)

// Serve answers on l until Close. l belongs to the server from now on.
func Serve(l net.Listener, p Process, log *slog.Logger) *Server {
	s := &Server{process: p, local: l.Addr().Network() == "unix", ended: make(chan struct{})}
	s.http = http.Server{
		Handler: s.guarded(s.route()), MaxHeaderBytes: maxHead,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(limit(l, maxConnections)); err != http.ErrServerClosed {
			log.Error("the admin listener failed", "address", AddressOf(l), "error", err)
		}
	}()
	return s
}

// Close ends the server and its connections, and removes its unix socket's file.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.ended
	if err != nil {
		return fmt.Errorf("close admin listener: %w", err)
	}
	return nil
}
