package e2e

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Scripted is an upstream that does with each connection what a script says.
type Scripted struct {
	Addr  string
	conns atomic.Int64
}

// URL is the upstream as an endpoint.
func (s *Scripted) URL() string { return "http://" + s.Addr }

// Conns is the number of connections accepted so far.
func (s *Scripted) Conns() int { return int(s.conns.Load()) }

// NewScripted starts an upstream that runs script for each connection, in a goroutine of its own, and closes the
// connection after it. When the test ends, connections are broken, and the scripts are waited for.
func NewScripted(t testing.TB, script func(*Peer)) *Scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Scripted{Addr: l.Addr().String()}
	open := peers{open: map[*Peer]bool{}, over: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p := &Peer{Wire: newWire(quiet{t}, c), N: int(s.conns.Add(1)), over: open.over}
			if !open.add(p) {
				c.Close()
				return
			}
			running.Go(func() {
				defer c.Close()
				defer open.remove(p)
				defer stopQuietly()
				script(p)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.breakAll()
		running.Wait()
	})
	return s
}

// Peer is a script's side of one connection. Where a Wire's method would end the test, the script ends: a proxy is free
// to leave whenever it likes.
type Peer struct {
	*Wire
	// N counts the upstream's connections from 1.
	N int

	over <-chan struct{}
}

// Stall says nothing, but reads, until the other side leaves.
func (p *Peer) Stall() { p.WaitClosed() }

// Freeze neither reads nor writes until the test ends.
func (p *Peer) Freeze() { <-p.over }

// quiet is a test for which giving up is no failure.
type quiet struct{ testing.TB }

type givenUp struct{}

func (quiet) Helper()               {}
func (quiet) Fatalf(string, ...any) { panic(givenUp{}) }

func stopQuietly() {
	if r := recover(); r != nil && r != (givenUp{}) {
		panic(r)
	}
}

// peers is the connections whose scripts run.
type peers struct {
	mu   sync.Mutex
	open map[*Peer]bool
	over chan struct{} // closed when the test ends
}

func (ps *peers) add(p *Peer) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.open[p] = true
	select {
	case <-ps.over:
		return false
	default:
		return true
	}
}

func (ps *peers) remove(p *Peer) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.open, p)
}

func (ps *peers) breakAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	close(ps.over)
	for p := range ps.open {
		p.Close()
	}
}

// Scripts for what upstreams do wrong, and for what is right but rare. Each reads a request's head first, where
// not said otherwise.
var (
	// Garbage answers what is not HTTP.
	Garbage = say("\x16\x03\x01\x02\x00garbage\r\n\r\n")
	// NeverAnswer takes the request and says nothing.
	NeverAnswer = func(p *Peer) { p.Stall() }
	// CloseAtOnce closes each connection without reading.
	CloseAtOnce = func(*Peer) {}
	// ResetAtOnce resets each connection after the request's head.
	ResetAtOnce = func(p *Peer) { p.ReadHead(); p.Reset() }
	// ResetMidHead resets within the response's head.
	ResetMidHead = func(p *Peer) { p.ReadHead(); p.Send("HTTP/1.1 200 OK\r\nContent-Le"); p.Reset() }
	// ResetMidBody resets within a body whose length is known.
	ResetMidBody = func(p *Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1000))
		p.Reset()
	}
	// CloseMidBody closes within a body whose length is known.
	CloseMidBody = say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
	// CloseMidChunk closes within a chunk.
	CloseMidChunk = say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf")
	// StallMidBody stops within a body, and keeps the connection.
	StallMidBody = func(p *Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
		p.Stall()
	}
	// UntilClose ends its body by the connection's end.
	UntilClose = say("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end")
	// EarlyHints sends interim responses before the final one.
	EarlyHints = say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	// CloseIdle answers one request on each connection as if it were to be kept, and closes it then.
	CloseIdle = say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	// NeverRead does not even take the request.
	NeverRead = func(p *Peer) { p.Freeze() }
	// EarlyAnswer answers before the request's body was read, and goes on reading.
	EarlyAnswer = func(p *Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		p.Stall()
	}
)

// say reads a head, answers text, and closes.
func say(text string) func(*Peer) {
	return func(p *Peer) {
		p.ReadHead()
		p.Send(text)
	}
}
