// Package plan is where the two planes meet: the compiled configuration as the data plane reads it.
//
// A Snapshot is immutable from the moment it is published: the control plane builds it, publishes it by one atomic
// store, and every shard reads it without a lock. Nothing in it refers to a file, a name to be resolved or a
// connection.
//
// It may import routing, routing/urlpath, of tls/handshake the types Server and Client, and the standard library only,
// and is imported by both planes.
package plan

import (
	"net/netip"
	"time"

	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/urlpath"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// Snapshot is one compiled configuration.
type Snapshot struct {
	// Generation counts snapshots from 1; a later one has a greater number.
	Generation uint64
	// Source says where it came from, for logs: a file's path or "embedded default".
	Source  string
	Created time.Time

	Listeners []Listener
	Routes    []Route
	// Streams are what a listener's Streams table leads to.
	Streams   []Stream
	Services  []Service
	Limits    Limits
	Timeouts  Timeouts
	Paths     Paths
	Forward   Forward
	AccessLog AccessLog
	// Vouches tells that a listener has upstreams told of client certificates (TLS.Forward). They believe the fields in
	// which that is done, so no listener may pass on what clients write there.
	Vouches bool
}

// Series is the number under which metrics count what a listener, a service or a route does: within its kind, the same
// for the same name in every snapshot. There is a bounded number of them; Series 0 is that of all who got none of their
// own.
type Series = uint16

// Listener is one address we accept on. Its index in Snapshot.Listeners is its ID, which belongs to that address for
// the life of the process: connections are counted and found by it. A listener that moves to another address is one
// that went and one that came; an address that comes back gets its ID again.
//
// An entry whose Table is nil is vacant: its listener was removed. It keeps its address and its name, for logs; nobody
// accepts on it, and requests that are running on its connections end on the snapshot with which they began.
type Listener struct {
	Name   string
	Series Series
	// Addr is the IP address and port; Unix the socket's path when it is a unix socket. One of them is set.
	Addr netip.AddrPort
	Unix string
	// Protocol says what is spoken there.
	Protocol Protocol
	// Proxied holds the networks whose connections begin with a header of the PROXY protocol, which says who the client
	// is: one that does not is ended. Connections from elsewhere have no such header.
	Proxied []netip.Prefix
	// Trusted holds the client networks whose forwarding headers are believed.
	Trusted []netip.Prefix
	// Table maps host and path to an index in Snapshot.Routes; nil: see above.
	Table *routing.Table
	// TLS is what is agreed on there; nil: connections are plain.
	TLS *TLS
	// Streams maps a connection, by its ClientHello if it has one, to an index in Snapshot.Streams; it is asked before
	// TLS is terminated. With UDP it maps a client's first datagram. Nil: there is none that leads anywhere.
	Streams *routing.Table
	// Redirect has every request of a plain listener answered by the way to https; nil: Table decides.
	Redirect *Redirect
	// HSTS is the value of Strict-Transport-Security for the responses of a TLS listener; empty: none is added.
	HSTS string
}

// Redirect sends clients to https.
type Redirect struct {
	Port uint16 // where https is
	Code int    // of the response: 301, 302, 307 or 308
}

// Vacant reports whether the listener was removed.
func (l *Listener) Vacant() bool { return l.Table == nil }

// Protocol is what a listener's clients speak.
type Protocol uint8

const (
	// HTTP: requests, over TLS where Listener.TLS is set; Streams is asked with ClientHellos only.
	HTTP Protocol = iota
	// TCP: connections that are passed on by Streams, with or without TLS; a request is none.
	TCP
	// UDP: datagrams, passed on by Streams.
	UDP
	// Auto: what comes first decides. A ClientHello is as with HTTP and TLS, the beginning of a request as with HTTP
	// alone; anything else, or nothing for as long as Timeouts.Detect, is as with TCP.
	Auto
)

// String is the protocol's name in the configuration.
func (p Protocol) String() string { return [...]string{"http", "tcp", "udp", "auto"}[p] }

// Route is what a match leads to. One without a name is a gap that a removed route has left in Snapshot.Routes, which
// no match leads to.
type Route struct {
	Name    string
	Service int32 // index in Snapshot.Services
	Series  Series
	// Upgrades are the protocols, in lower case, that a connection may be switched to by a request's Upgrade field
	// (RFC 9110, section 7.8); "*" stands for all but those that carry requests, such as h2c, which
	// would be a way around the routes.
	Upgrades []string
	// Connect passes on requests with the method CONNECT (RFC 9110, section 9.3.6).
	Connect bool
}

// Stream is where a connection, or a client's datagrams, go. One without a name is a gap, as with Route.
type Stream struct {
	Name string
	// ID is the same as long as a snapshot in use has a stream of this name, for connections or for datagrams, so that
	// what is counted against its limits outlives a reload. Then it may be another's.
	ID      uint32
	Service int32 // index in Snapshot.Services, of one for streams
	Series  Series
	// Terminate ends TLS here, and passes on what was in it. Without it, TLS is passed on as it is.
	Terminate bool
	// Connections is how many there may be at a time, and Rate how many may begin in a second, with Burst of them at
	// once, over all shards; 0: no limit. Of datagrams, sessions are counted.
	Connections int
	Rate, Burst int
}

// Service is a set of equivalent endpoints.
type Service struct {
	Name string
	// ID is the same as long as a snapshot in use has a service of this name, so that a shard's position in Cycle
	// outlives a reload. Then it may be another's.
	ID     uint32
	Series Series
	// Stream tells that the endpoints take connections as they are: they belong to streams, and no route leads here.
	Stream bool
	// Datagrams tells that those connections are UDP's.
	Datagrams bool
	// ByClient has the endpoint chosen by the client's address, the same one as long as the endpoints are the same,
	// instead of by Cycle.
	ByClient bool
	// Proxy has every connection to an endpoint begin with a header of the PROXY protocol, of this version.
	Proxy     ProxyVersion
	Endpoints []Endpoint
	// Cycle is the order in which endpoints are used: indexes into Endpoints, weights smoothed out
	// (smooth weighted round robin), at least one entry.
	Cycle []uint16
}

// ProxyVersion is a version of the PROXY protocol; 0: none.
type ProxyVersion uint8

const (
	ProxyV1 ProxyVersion = 1 + iota // one line of text
	ProxyV2                         // binary, with server name, ALPN and facts of TLS as far as they are known
)

// Endpoint is one address of a service.
type Endpoint struct {
	// ID is the same as long as a snapshot in use has the address, so that pooled connections outlive a reload. Then
	// it may be another's. The same address with other TLS is another one.
	ID uint32
	// Name is how the user wrote it, for logs.
	Name string
	// Addr, or Unix when it is a unix socket.
	Addr netip.AddrPort
	Unix string
	// Weight is its share of the clients, beside those of the others, with Service.ByClient; 0 counts as 1. Cycle has
	// the weights in it.
	Weight int
	// TLS shakes hands with it; nil: it is spoken to plainly.
	TLS *handshake.Client
}

// Limits bound what a client or an upstream may make us hold. Zero means no limit where it says so.
type Limits struct {
	Connections      int   // clients in total
	ConnectionsPerIP int   // clients per address; 0: no limit
	LineBytes        int   // request line
	HeaderBytes      int   // whole message head
	HeaderCount      int   // fields in a head
	BodyBytes        int64 // request body; 0: no limit
	UpstreamPool     int   // idle connections kept per endpoint, over all shards
	UpstreamConns    int   // connections per endpoint, over all shards; 0: no limit
	RequestsPerConn  int   // requests on one client connection; 0: no limit
	BodyRateBytes    int   // least bytes per second of a body, either way, over BodyRateWindow; 0: none
	BuffersPerShard  int64 // bytes of buffer memory a shard may use
	Sessions         int   // UDP clients at a time, over all shards
	SessionsPerIP    int   // of them, per address; 0: no limit
}

// Timeouts bound how long we wait.
type Timeouts struct {
	Header         time.Duration // from a request's first byte to the end of its head
	Idle           time.Duration // between requests
	Connect        time.Duration // to an endpoint
	FirstByte      time.Duration // from the end of the request to the response's first byte
	UpstreamIdle   time.Duration // an unused connection to an endpoint
	ResponseIdle   time.Duration // between two pieces of a response's body; 0: no limit
	Detect         time.Duration // for the first bytes that decide what a connection is, a PROXY header among them
	StreamIdle     time.Duration // while nothing passes, either way, on a connection that is passed on as it is
	UpgradeIdle    time.Duration // while nothing passes, either way, after an Upgrade or CONNECT
	SessionIdle    time.Duration // while no datagram passes, either way, between a client and its endpoint
	BodyRateWindow time.Duration // see Limits.BodyRateBytes
	Linger         time.Duration // reading on after an early response, so that the client gets to see it
	Drain          time.Duration // finishing running requests at shutdown
}

// Paths says how the path of a request target is brought into the form in which it is matched and forwarded.
type Paths struct {
	Policy urlpath.Policy
	// ForwardReceived has upstreams get the target as it was received, instead of the path that was matched. What is
	// forwarded may then mean another path to the upstream than to the routes.
	ForwardReceived bool
}

// Forward says what upstreams are told about the client.
type Forward struct {
	XForwarded bool // X-Forwarded-For, -Proto, -Host, -Port
	Forwarded  bool // RFC 7239
	RequestID  bool // X-Request-Id
	Via        bool // RFC 9110, section 7.6.3
}

// LogFormat is the form of an access log line.
type LogFormat uint8

const (
	LogJSON LogFormat = iota
	LogCLF            // the "combined" variant of the common log format
)

// AccessLog says where requests are recorded. It is off when Path is empty.
type AccessLog struct {
	Path   string // "stderr", "stdout" or a file
	Format LogFormat
}
