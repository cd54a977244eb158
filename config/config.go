// Package config reads the TOML configuration: it checks every key and value, reports all faults at once with their
// positions, and returns a typed Config.
//
// Its rule is that nothing is accepted and ignored: an unknown key is a fault, and so is a value that this version
// could not honour. A Config that was returned is complete, with defaults filled in, and consistent: every name it
// refers to exists. What needs the outside world is not checked here: whether host names resolve, whether addresses are
// free.
//
// A Loader loads again and again and decodes what changed: files are cut at their table headers, each named table is
// read for itself, and one that is as it was is the same value in the next Config, so that what changed can be told by
// comparing pointers. What cannot be cut is read whole, with the same result.
//
// It never reaches the data plane: it imports plan for its types and routing for the rule language, and is imported by
// control and the commands.
package config

import (
	_ "embed"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Config is a checked configuration. Lists are in order of their names.
type Config struct {
	// Source is the paths that were loaded, or says what else the text came from.
	Source string

	Engine    Engine
	LogLevel  slog.Level
	AccessLog plan.AccessLog
	Limits    plan.Limits
	Timeouts  plan.Timeouts
	Forward   plan.Forward
	Paths     plan.Paths
	Admin     Admin
	Reload    Reload
	// Handshakes bounds the TLS handshakes of the process.
	Handshakes Handshakes

	Listeners []*Listener
	Routes    []*Route
	Streams   []*StreamRoute // of tcp_routes
	Datagrams []*StreamRoute // of udp_routes
	Services  []*Service

	files []*document
}

// Engine says how the shards run.
type Engine struct {
	Backend string // "auto", "uring" or "epoll"
	Tier    string // "auto", "T1", "T2" or "T3"
	Shards  int    // 0: one for each usable core
	Pin     bool   // bind each shard to a core
}

// Admin says where the process answers questions about itself: at Addr, or on the socket Unix, or nowhere.
type Admin struct {
	Addr netip.AddrPort
	Unix string
	Off  bool
	// Explicit tells that the address was written down, so that failing to listen there is no small matter.
	Explicit bool
	// TokenFile is a file with the token that those who ask have to show; empty: nobody is asked for one.
	TokenFile string
	Pprof     bool // offer profiles of the process
}

// Reload says what makes the process read its configuration again, beyond being told to.
type Reload struct {
	Watch bool // a change of its files
}

// Listener is an address to accept connections on: Addr, or Unix when it is a unix socket. What its protocol has no use
// for is not set.
type Listener struct {
	Name string
	Addr netip.AddrPort
	Unix string
	// Protocol says what is spoken there.
	Protocol plan.Protocol
	// Proxied are the networks whose connections begin with a header of the PROXY protocol.
	Proxied []netip.Prefix
	// Trusted are the networks of clients whose forwarding headers are believed.
	Trusted []netip.Prefix
	// TLS says what is agreed on there; nil: connections are plain.
	TLS *ListenerTLS
	// Redirect has every request of a plain listener answered by the way to https; nil: routes decide.
	Redirect *Redirect
	// HSTS is the value of Strict-Transport-Security in the responses of a TLS listener; empty: none is added.
	HSTS string
}

// Redirect sends clients to https.
type Redirect struct {
	Port uint16 // where https is
	Code int    // of the response: 301, 302, 307 or 308
}

// Route sends requests to a service.
type Route struct {
	Name string
	// Listeners are names; none: see For.
	Listeners []string
	// Rule says which requests the route is for; nil: all of them.
	Rule     *rule.Expr
	Priority int
	Service  string
	// Upgrades are the protocols, in lower case, in order, to which a connection may be switched; see Allows.
	Upgrades []string
	// Connect passes on requests with the method CONNECT.
	Connect bool
}

// StreamRoute sends connections to a service as they are, or the datagrams of a client. Its service is one for them.
type StreamRoute struct {
	Name string
	// Listeners are names; none: see For.
	Listeners []string
	// Rule says which connections or clients the route is for; nil: all of them. It asks for nothing but what addresses
	// tell, and with connections a ClientHello.
	Rule     *rule.Expr
	Priority int
	Service  string

	Datagrams bool // of udp_routes
	Hello     bool // the rule looks at the ClientHello
	Terminate bool // TLS ends here, and what was in it is passed on
	// Connections is how many there may be at a time; 0: no limit. Of datagrams, clients are counted.
	Connections int
	// Rate is how many may begin in a second, and Burst how many of them at once; both are 0 without a limit.
	Rate, Burst int
}

// Service is a set of equivalent endpoints, at least one.
type Service struct {
	Name      string
	Endpoints []Endpoint
	// Stream tells that the endpoints take connections as they are: those of tcp:// and tls://. Datagrams tells that
	// they take datagrams: those of udp://. Without either they take requests. Where all of them are unix sockets, Open
	// tells that they take requests and connections, whatever routes lead there.
	Stream, Datagrams, Open bool
	// ByClient has the endpoint chosen by the client's address instead of by turns.
	ByClient bool
	// Proxy has connections to the endpoints of a stream begin with a header of the PROXY protocol; 0: they have none.
	Proxy plan.ProxyVersion
	// TLS says how https and tls endpoints are spoken to; nil when there is none.
	TLS *ServiceTLS
}

// Endpoint is where a service can be reached: Host and Port, or Unix.
type Endpoint struct {
	// Key is its path in the configuration, for Config.Fault.
	Key string
	// URL is how the user wrote it.
	URL string
	// Host is a name, or an IP address without brackets.
	Host   string
	Port   uint16
	Unix   string
	TLS    bool // https:// or tls://
	Weight int  // at least 1
}

//go:embed default.toml
var defaultText string

// DefaultSource is Config.Source of the embedded configuration.
const DefaultSource = "embedded default"

// DefaultText is the embedded demo configuration: a listener on 127.0.0.1:8080 before two upstreams on loopback.
func DefaultText() string { return defaultText }

// Default is the embedded demo configuration.
func Default() *Config {
	c, faults := Parse(DefaultSource, []byte(defaultText))
	if len(faults) > 0 {
		panic(faults)
	}
	return c
}

// Load reads paths as a Loader does, once. Exactly one of its results is nil.
func Load(paths []string) (*Config, Faults) { return NewLoader().Load(paths) }

// Parse reads a configuration from data; name appears in faults. Exactly one of its results is nil.
func Parse(name string, data []byte) (*Config, Faults) {
	text := strings.TrimPrefix(string(data), "\xef\xbb\xbf")
	return NewLoader().load(name, []revised{{source: newSource(name, text)}})
}

// Fault makes a fault at the value of key in the files that c was read from, for what only shows later.
func (c *Config) Fault(key, found, expected, hint string) Fault {
	d := decoder{source: c.Source}
	name, named := tableOf(key)
	for _, file := range c.files {
		if u := file.unit(name); named && u != nil {
			d.in = []*locator{file.locate(u)}
			break
		}
		d.in = append(d.in, file.locate(nil))
	}
	d.at(key, found, expected, hint)
	return d.finish(nil)[0]
}
