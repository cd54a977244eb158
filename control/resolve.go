package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/uringproxy/uringproxy/config"
)

// names maps host names, and addresses as they were written, to sorted addresses.
type names map[string][]netip.Addr

// maxLookups bounds how many look-ups run side by side.
const maxLookups = 16

// hosts lists what cfg's endpoints need to be resolved, each once, in order.
func hosts(cfg *config.Config) []string {
	var all []string
	for _, s := range cfg.Services {
		for _, e := range s.Endpoints {
			if _, err := netip.ParseAddr(e.Host); e.Unix == "" && err != nil {
				all = append(all, e.Host)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// lookUpAll resolves the names of cfg. One that cannot be resolved now but could be before keeps its addresses; one
// that never could is a fault.
func (m *Manager) lookUpAll(ctx context.Context, cfg *config.Config) (names, config.Faults) {
	found, failed := m.resolve(ctx, hosts(cfg))
	var faults config.Faults
	for _, s := range cfg.Services {
		addresses := 0
		for _, e := range s.Endpoints {
			if err := failed[e.Host]; err != nil && len(found[e.Host]) == 0 {
				what := fmt.Sprintf("the host name %q, which does not resolve", e.Host)
				faults = append(faults, cfg.Fault(e.Key, what, "a name with an address", err.Error()))
			}
			addresses += max(1, len(found[e.Host]))
		}
		if addresses > maxEndpoints {
			faults = append(faults, cfg.Fault(config.Path("services", s.Name),
				fmt.Sprintf("%d endpoint addresses", addresses), fmt.Sprintf("at most %d in one service", maxEndpoints),
				"divide the service"))
		}
	}
	return found, faults
}

// resolve looks wanted up, all within resolveTimeout. What fails keeps the addresses it had, is in failed, and is
// logged when it begins to fail and when it stops.
func (m *Manager) resolve(ctx context.Context, wanted []string) (found names, failed map[string]error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	answers := make([][]netip.Addr, len(wanted))
	errs := make([]error, len(wanted))
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxLookups)
	for i, host := range wanted {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			answers[i], errs[i] = lookUp(ctx, m.opts.Resolver, host)
		})
	}
	wg.Wait()
	found, failed = names{}, map[string]error{}
	for i, host := range wanted {
		if errs[i] == nil {
			found[host] = answers[i]
			if m.failing[host] {
				delete(m.failing, host)
				m.opts.Log.Info("host name resolves again", "host", host)
			}
			continue
		}
		failed[host] = errs[i]
		if old := m.world.names[host]; len(old) > 0 {
			found[host] = old
			if !m.failing[host] {
				m.failing[host] = true
				m.opts.Log.Warn("host name does not resolve, its addresses stay", "host", host, "error", errs[i])
			}
		}
	}
	return found, failed
}

// lookUp returns host's addresses in order. Where a name has IPv4 addresses, its IPv6 ones are left out: every address
// becomes an endpoint that gets its share of requests, and in many networks, and on many a loopback, only the former
// answer.
func lookUp(ctx context.Context, r Resolver, host string) ([]netip.Addr, error) {
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns) && dns.IsTimeout, ctx.Err() != nil:
			return nil, errors.New("no answer from the name server")
		case errors.As(err, &dns) && dns.IsNotFound:
			return nil, errors.New("there is no such name")
		}
		return nil, err
	}
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap().WithZone(""); a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	best := v4
	if len(v4) == 0 {
		best = v6
	}
	if len(best) == 0 {
		return nil, errors.New("the name has no address")
	}
	slices.SortFunc(best, netip.Addr.Compare)
	return slices.Compact(best), nil
}
