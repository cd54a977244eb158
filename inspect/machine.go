package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Machine is what Check wants to know of where it runs.
type Machine struct {
	FirstPort int // the lowest port that this process may listen on
}

// capNetBindService lets a process listen on privileged ports; see capabilities(7).
const capNetBindService = 10

// ThisMachine looks around in /proc. What it cannot find out, it takes to be allowed.
func ThisMachine() Machine {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return Machine{}
	}
	start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return Machine{}
	}
	return machineOf(string(status), string(start))
}

// machineOf reads the texts of the two files.
func machineOf(status, start string) (m Machine) {
	for line := range strings.Lines(status) {
		mask, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		if err != nil || bits>>capNetBindService&1 != 0 {
			return m
		}
		if port, err := strconv.Atoi(strings.TrimSpace(start)); err == nil {
			m.FirstPort = port
		}
	}
	return m
}

// Resolver looks addresses up; net.DefaultResolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Bounds of looking names up.
const (
	resolveTimeout = 5 * time.Second
	maxLookups     = 16 // side by side
)

// names looks the names of endpoints up, each once.
func (k *checker) names(ctx context.Context, r Resolver) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	keys := map[string][]string{} // by name, where it stands
	var hosts []string
	for _, s := range k.config.Services {
		for _, e := range s.Endpoints {
			if _, err := netip.ParseAddr(e.Host); e.Unix != "" || err == nil {
				continue
			}
			if keys[e.Host] == nil {
				hosts = append(hosts, e.Host)
			}
			keys[e.Host] = append(keys[e.Host], e.Key)
		}
	}
	slices.Sort(hosts)
	failed := make([]error, len(hosts))
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxLookups)
	for i, host := range hosts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			failed[i] = lookUp(ctx, r, host)
		})
	}
	wg.Wait()
	for i, host := range hosts {
		for _, key := range keys[host] {
			if failed[i] != nil {
				k.warn(UnresolvedName, key, "a process that starts here would refuse it",
					fmt.Sprintf("the host name %q, which does not resolve: %v", host, failed[i]))
			}
		}
	}
}

// lookUp reports why a name has no address.
func lookUp(ctx context.Context, r Resolver, host string) error {
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	var dns *net.DNSError
	switch {
	case err == nil && len(addrs) == 0:
		return errors.New("the name has no address")
	case err == nil:
		return nil
	case errors.As(err, &dns) && dns.IsTimeout, ctx.Err() != nil:
		return errors.New("no answer from the name server")
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("there is no such name")
	}
	return fmt.Errorf("look up name: %w", err)
}
