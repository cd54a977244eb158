// Package admin is how people and programs ask a running process about itself, and tell it to reload: a small HTTP
// server on the loopback, a unix socket or, for those who show a token, any address; and the client that the commands
// use.
//
// Its invariants: it serves nobody but who may already act on this machine (the loopback or a socket of mode 0600, no
// request that a browser was made to send, no name that was made to point here) or who has the token; what may be a
// secret is shown to nobody but those who showed one; and it can do the process no harm: connections, sizes and times
// are bounded, what takes work is done for one at a time, and it runs on goroutines of its own, beside the shards.
//
// It knows the process by the interface Process only and imports nothing of ours but what removes a dead process's
// socket. It is imported by server and cmd/uringproxy, and never reached from the data plane.
package admin

import (
	"fmt"
	"io"
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
	// Running is the configuration in force. Like Explain, it shows no values of rules that may be secrets, unless a
	// token is asked for.
	Running() *Running
	// Explain says what becomes of a request by the configuration in force, as a value for JSON. The error says what is
	// wrong with the question.
	Explain(*Question) (any, error)
	// Metrics is what has been counted and timed so far.
	Metrics() *Metrics
	// WriteMetrics writes the same and more for Prometheus, as text in version 0.0.4 or as OpenMetrics.
	WriteMetrics(w io.Writer, openMetrics bool) error
}

// Options say who is served, and what is.
type Options struct {
	// Token is what those who ask have to show; empty: nobody is asked for one.
	Token string
	// Pprof offers profiles of the process.
	Pprof bool
	Log   *slog.Logger
}

// Server answers on one listener.
type Server struct {
	process   Process
	pprof     bool
	local     bool // a unix socket: there is no name by which a browser could reach it
	token     token
	explains  turnstile // one question is worked on at a time: each takes the work of compiling the routes
	counts    turnstile // one answer with figures is made at a time: each looks at all that is counted
	answers   turnstile // and some are kept until those who asked have read them
	endpoints []endpoint
	http      http.Server
	ended     chan struct{}
}

const (
	headTimeout = 5 * time.Second
	readTimeout = 10 * time.Second
	// writeTimeout has to leave time for a reload of a large configuration with names that do not resolve.
	writeTimeout = 2 * time.Minute
	// sendTimeout is for answers that are complete when their sending begins.
	sendTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second // headTimeout for those who have not shown the token

	maxHead        = 16 << 10
	maxBody        = 64 << 10
	maxConnections = 64
	maxAnswers     = 8 // with figures, in memory at a time
)

// Serve answers on l until Close. l belongs to the server from now on.
func Serve(l net.Listener, p Process, o Options) *Server {
	s := &Server{
		process: p, pprof: o.Pprof, local: l.Addr().Network() == "unix",
		explains: make(turnstile, 1), counts: make(turnstile, 1), answers: make(turnstile, maxAnswers),
		ended: make(chan struct{}),
	}
	s.token.set(o.Token)
	s.endpoints = s.list()
	s.http = http.Server{
		Handler: s.guarded(http.HandlerFunc(s.answer)), MaxHeaderBytes: maxHead,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ConnContext: withConnection,
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(limit(l, maxConnections, s.token.wanted())); err != http.ErrServerClosed {
			o.Log.Error("the admin listener failed", "address", AddressOf(l), "error", err)
		}
	}()
	return s
}

// SetToken makes token the one that is asked for from now on. A server that began without one stays as it is.
func (s *Server) SetToken(token string) {
	if token != "" && s.token.wanted() {
		s.token.set(token)
	}
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
