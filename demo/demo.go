// Package demo is the two upstreams that the proxy brings along for its first start, so that there is something to look
// at before anything is configured. They are plain net/http servers on the loopback interface and know nothing of the
// proxy: what they show is what any upstream would see.
//
// Invariants: nothing but loopback addresses is listened on; every answer is bounded in size and time; stopping
// leaves nothing running. It imports the standard library only, and is imported by server.
package demo

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// names are what the upstreams call themselves.
var names = [...]string{"one", "two"}

// Start starts the upstreams at the given loopback addresses, one each ("127.0.0.1:9101"); those that are not given get
// a free port of 127.0.0.1. It returns their URLs, and a function that stops them and waits until they have.
func Start(addrs ...string) (endpoints []string, stop func(), err error) {
	if len(addrs) > len(names) {
		return nil, nil, fmt.Errorf("start demo: %d addresses given, there are %d upstreams", len(addrs), len(names))
	}
	var servers []*server
	stop = func() {
		for _, s := range servers {
			s.stop()
		}
	}
	for i, name := range names {
		addr := "127.0.0.1:0"
		if i < len(addrs) {
			addr = addrs[i]
		}
		s, err := serve(name, addr)
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("start demo upstream %s: %w", name, err)
		}
		servers = append(servers, s)
		endpoints = append(endpoints, "http://"+s.listener.Addr().String())
	}
	return endpoints, stop, nil
}

type server struct {
	listener net.Listener
	http     *http.Server
	ended    chan struct{}
}

func serve(name, addr string) (*server, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	if !ap.Addr().IsLoopback() {
		return nil, errors.New(addr + " is not a loopback address; the demo is for this machine only")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &server{
		listener: l,
		http:     &http.Server{Handler: Handler(name), ReadHeaderTimeout: 10 * time.Second},
		ended:    make(chan struct{}),
	}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(l) // ends with ErrServerClosed, when stop closes it
	}()
	return s, nil
}

func (s *server) stop() {
	_ = s.http.Close() // breaks what still runs: the proxy, which drains, has ended before
	<-s.ended
}
