package control

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// Trigger is what made the configuration change, or try to.
type Trigger string

const (
	BySignal Trigger = "signal" // SIGHUP
	ByWatch  Trigger = "watch"  // a file changed
	ByAPI    Trigger = "api"    // the admin listener was asked
	ByDNS    Trigger = "dns"    // a host name has other addresses
	ByTLS    Trigger = "tls"    // keys of tickets are due, or an authority has answered about a certificate
	ByRetry  Trigger = "retry"  // what failed for the world's fault was tried once more
)

// Status is what became of the configuration so far. It is immutable, and so is all it points to.
type Status struct {
	// Snapshot is the one in force.
	Snapshot *plan.Snapshot
	// Config is what the snapshot was compiled from.
	Config *config.Config
	// Attempts counts attempts to change the configuration since the start, Failed those in vain.
	Attempts, Failed uint64
	// Last is the last attempt that ended; nil when there was none.
	Last *Attempt
	// Refused is the attempt because of which what is on disk is not in force; nil when it is. An attempt by DNS or
	// TLS, which reads no configuration, leaves it as it is.
	Refused *Attempt
	// Waiting are the keys of settings that take effect at the next start only.
	Waiting []string
	// Watching tells that a change of the files is a trigger.
	Watching bool

	secured *secured
}

// Attempt is one attempt to change the configuration.
type Attempt struct {
	Trigger Trigger
	At      time.Time // its beginning
	Took    time.Duration
	// Generation is that of the snapshot which it put in force; 0 when it failed.
	Generation uint64
	// Faults are those of a faulty configuration, the first maxFaults of Found.
	Faults config.Faults
	Found  int
	// Err is why it failed. With faults it is all of them.
	Err error
}

// maxFaults bounds how many faults of a failed attempt are kept.
const maxFaults = 100

// Err of an attempt that came too late.
var errClosed = errors.New("the process is shutting down")

// Certificates are those in force, each once, the first to expire in front.
func (s *Status) Certificates() []*certs.Certificate {
	return slices.SortedFunc(s.secured.certificates, func(a, b *certs.Certificate) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), strings.Compare(a.Source, b.Source))
	})
}

// Status is what became of the configuration so far; nil before Start. It does not block.
func (m *Manager) Status() *Status { return m.status.Load() }

// record makes a the last attempt and tells whoever wants to know.
func (m *Manager) record(a *Attempt, waiting []string) {
	s := *m.status.Load()
	s.Attempts++
	s.Last, s.Snapshot, s.Config, s.Watching = a, m.last, m.current, m.watches()
	s.secured = m.world.secured
	if a.Err != nil {
		s.Failed++
	}
	if a.Trigger != ByDNS && a.Trigger != ByTLS {
		s.Refused = nil
		if a.Err != nil {
			s.Refused = a
		} else {
			s.Waiting = waiting
		}
	}
	m.status.Store(&s)
	if m.opts.Ended != nil {
		m.opts.Ended(a)
	}
}

// fail notes why a failed.
func (a *Attempt) fail(err error) {
	a.Err = err
	var faults config.Faults
	if errors.As(err, &faults) {
		a.Found = faults.Count()
		a.Faults = slices.Clone(faults[:min(len(faults), maxFaults)])
	}
}
