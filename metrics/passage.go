package metrics

import "sync/atomic"

// Passage is a way through the proxy on which bytes pass as they are.
type Passage uint8

const (
	Streams  Passage = iota // connections that tcp routes pass on
	Upgrades                // connections that a request has switched to another protocol, CONNECT included, by route
	Sessions                // datagrams of one client, by udp route
	passages
)

var passageNames = [passages]string{"streams", "upgrades", "sessions"}

func (p Passage) String() string { return passageNames[p] }

// Kind is of what the passage has series.
func (p Passage) Kind() SeriesKind {
	return [passages]SeriesKind{StreamSeries, RouteSeries, DatagramSeries}[p]
}

// Drop says why datagrams were thrown away.
type Drop uint8

const (
	DropNoRoute     Drop = iota // of a client that no udp route is for
	DropLimit                   // of a client for whom there could be no session, because of a limit
	DropRate                    // of a client for whom there could be no session yet
	DropNoUpstream              // the service has no endpoint, or none could be asked
	DropBuffers                 // there was no memory for it
	DropTruncated               // it was longer than what it is received into
	DropUpstream                // the endpoint's socket did not take it
	DropClient                  // the client's socket did not take it
	DropUnreachable             // the other side said that nobody is there (ICMP)
	DropDraining                // of a new client at a shutdown, or of a session whose end was near
	drops
)

var dropLabels = [drops]string{
	"no_route", "limit", "rate", "no_upstream", "buffers", "truncated", "upstream_full", "client_full", "unreachable",
	"draining",
}

// Label is a name in lower case and underscores.
func (d Drop) Label() string { return dropLabels[d] }

// Drops yields all of them.
func Drops(yield func(Drop) bool) {
	for d := DropNoRoute; d < drops && yield(d); d++ {
	}
}

// ProxyHeader is what became of the header of the PROXY protocol with which a client's connection has to begin.
type ProxyHeader uint8

const (
	ProxyTaken     ProxyHeader = iota // it names the client
	ProxyLocal                        // it names nobody: the proxy before us speaks for itself
	ProxyMissing                      // there was something else
	ProxyMalformed                    // it breaks the protocol
	ProxyLate                         // it did not come, or not all of it, in time
	proxyHeaders
)

var proxyHeaderLabels = [proxyHeaders]string{"taken", "local", "missing", "malformed", "late"}

// Label is a name in lower case.
func (p ProxyHeader) Label() string { return proxyHeaderLabels[p] }

// ProxyHeaders yields all of them.
func ProxyHeaders(yield func(ProxyHeader) bool) {
	for p := ProxyTaken; p < proxyHeaders && yield(p); p++ {
	}
}

// proxyVersions are those of the PROXY protocol, and 0 for what was never told.
const proxyVersions = 3

// passageCounts are a shard's counts of what passes as it is.
type passageCounts struct {
	began    [passages]uint64
	ended    [passages][reasons]uint64 // None: in order
	dropped  [drops]uint64
	received [proxyVersions][proxyHeaders]uint64 // headers of the PROXY protocol
	sent     [proxyVersions]uint64
}

// add adds of, which a shard may be writing, to c.
func (c *passageCounts) add(of *passageCounts) {
	for p := range c.began {
		for r := range c.ended[p] { // first: what has ended had begun
			c.ended[p][r] += atomic.LoadUint64(&of.ended[p][r])
		}
		c.began[p] += atomic.LoadUint64(&of.began[p])
	}
	for d := range c.dropped {
		c.dropped[d] += atomic.LoadUint64(&of.dropped[d])
	}
	for v := range c.sent {
		c.sent[v] += atomic.LoadUint64(&of.sent[v])
		for p := range c.received[v] {
			c.received[v][p] += atomic.LoadUint64(&of.received[v][p])
		}
	}
}

// Began counts a stream, an upgrade or a session that begins, for the series of its route: a plan.Stream's, or for an
// upgrade a plan.Route's.
func (s *Shard) Began(p Passage, id Series) {
	n := &s.passages.began[p]
	store(n, *n+1)
	s.Of(p.Kind(), id).Opened()
}

// Carried counts bytes that have been passed on from the client, and to it. It may be called while the passage is
// open, and once when it ends.
func (s *Shard) Carried(p Passage, id Series, up, down uint64) {
	b := s.Of(p.Kind(), id)
	store(&b.carriedUp, b.carriedUp+up)
	store(&b.carriedDown, b.carriedDown+down)
}

// Ended counts the end of what began: None for an orderly one. A session that has been idle for as long as it may ends
// in order.
func (s *Shard) Ended(p Passage, id Series, why Reason) {
	n := &s.passages.ended[p][why]
	store(n, *n+1)
	b := s.Of(p.Kind(), id)
	b.Closed()
	if why != None {
		store(&b.broken, b.broken+1)
	}
}

// RefusePassage counts a client that was turned away before anything began, for a reason of its route: a limit, a
// rate, or an upgrade that is not allowed.
func (s *Shard) RefusePassage(p Passage, id Series, why Reason) {
	if p != Upgrades { // else it is an exchange that failed
		s.Refuse(why)
	}
	b := s.Of(p.Kind(), id)
	store(&b.refused, b.refused+1)
}

// Datagrams counts datagrams of a session that were passed on, from its client and to it. Their bytes are for Carried.
func (s *Shard) Datagrams(id Series, up, down uint64) {
	b := s.Of(DatagramSeries, id)
	store(&b.datagramsUp, b.datagramsUp+up)
	store(&b.datagramsDown, b.datagramsDown+down)
}

// Drop counts datagrams that were thrown away.
func (s *Shard) Drop(d Drop, n uint64) { store(&s.passages.dropped[d], s.passages.dropped[d]+n) }

// ProxyReceived counts what became of a header of the PROXY protocol; version is 0 where it is not known.
func (s *Shard) ProxyReceived(version uint8, p ProxyHeader) {
	n := &s.passages.received[min(version, proxyVersions-1)][p]
	store(n, *n+1)
}

// ProxySent counts a header of the PROXY protocol, of that version, that an endpoint was sent.
func (s *Shard) ProxySent(version uint8) {
	n := &s.passages.sent[min(version, proxyVersions-1)]
	store(n, *n+1)
}

// PassagesBegan is how many there have been, PassagesOpen how many there are.
func (s *Snapshot) PassagesBegan(p Passage) uint64 { return s.passages.began[p] }
func (s *Snapshot) PassagesOpen(p Passage) int64 {
	return int64(s.passages.began[p] - total(&s.passages.ended[p]))
}

// PassagesEnded is how many have ended so: None for in order.
func (s *Snapshot) PassagesEnded(p Passage, why Reason) uint64 { return s.passages.ended[p][why] }

// PassagesBroken is how many did not end in order.
func (s *Snapshot) PassagesBroken(p Passage) uint64 {
	return total(&s.passages.ended[p]) - s.passages.ended[p][None]
}

// broken are those that did not end in order, by reason.
func (s *Snapshot) broken(p Passage) *[reasons]uint64 {
	all := s.passages.ended[p]
	all[None] = 0
	return &all
}

// Dropped is how many datagrams were thrown away for that reason, TotalDropped how many in all.
func (s *Snapshot) Dropped(d Drop) uint64 { return s.passages.dropped[d] }
func (s *Snapshot) TotalDropped() (n uint64) {
	for _, count := range s.passages.dropped {
		n += count
	}
	return n
}

// ProxyReceived is how many headers of that version were received with that outcome; version 0: it is not known.
func (s *Snapshot) ProxyReceived(version uint8, p ProxyHeader) uint64 {
	return s.passages.received[version][p]
}

// ProxySent is how many headers of that version were sent.
func (s *Snapshot) ProxySent(version uint8) uint64 { return s.passages.sent[version] }
