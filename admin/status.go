package admin

import "time"

// Status is what GET /api/status answers. Fields are added, never renamed.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	State   string    `json:"state"` // "serving" or "draining"
	Started time.Time `json:"started"`
	Uptime  float64   `json:"uptime_seconds"`

	Engine  Engine  `json:"engine"`
	Config  Config  `json:"config"`
	TLS     *TLS    `json:"tls,omitempty"` // absent: nothing is spoken over it
	Traffic Traffic `json:"traffic"`

	// LastReload is the last attempt to change the configuration; absent when there was none.
	LastReload *Reload `json:"last_reload,omitempty"`
	// Refused is the attempt because of which the files are not what is in force; absent when they are.
	Refused *Reload `json:"refused,omitempty"`
}

// Engine is what moves the bytes.
type Engine struct {
	Name   string `json:"name"`
	Tier   string `json:"tier"`
	Shards int    `json:"shards"`
}

// Config is the configuration in force.
type Config struct {
	Generation uint64     `json:"generation"`
	Source     string     `json:"source"`
	Loaded     time.Time  `json:"loaded"`
	Age        float64    `json:"age_seconds"`
	Watching   bool       `json:"watching"` // its files are watched
	Listeners  []Listener `json:"listeners"`
	Routes     int        `json:"routes"`
	TCPRoutes  int        `json:"tcp_routes"`
	UDPRoutes  int        `json:"udp_routes"`
	Services   int        `json:"services"`
	// Waiting are keys whose new values take effect at the next start only.
	Waiting []string `json:"waiting,omitempty"`

	Reloads       uint64 `json:"reloads"` // since the start, failed ones included
	ReloadsFailed uint64 `json:"reloads_failed"`
}

// TLS is what is spoken over it, and by whom.
type TLS struct {
	Listeners int `json:"listeners"` // that speak it
	// Mode says who opens and seals the records: "shard", or "relayed", a goroutine for each connection, because of
	// Why.
	Mode string `json:"mode"`
	Why  string `json:"why,omitempty"`
	// Certificates are the first to expire of All.
	Certificates []Certificate `json:"certificates"`
	All          int           `json:"certificates_in_all"`

	Open      int64       `json:"connections"` // of clients, after the handshake
	Running   int64       `json:"handshakes_running"`
	Done      uint64      `json:"handshakes"`         // with clients, since the start
	Resumed   uint64      `json:"handshakes_resumed"` // of these
	Failed    uint64      `json:"handshakes_failed"`
	Handshake Percentiles `json:"handshake_seconds"`
}

// Certificate is one that clients are shown, or that upstreams are.
type Certificate struct {
	Names    []string  `json:"names"`
	Source   string    `json:"source"`
	Kind     string    `json:"kind"`
	NotAfter time.Time `json:"not_after"`
	Days     float64   `json:"days_left"` // negative: it has expired
	Problems []string  `json:"problems,omitempty"`
}

// Listener is an address on which clients are taken.
type Listener struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Protocol is what is spoken there: "http", "tcp", "udp" or "auto".
	Protocol string `json:"protocol"`
}

// Traffic is what the shards do, and have done since the start: the sums of Shards, which were taken at the same time.
type Traffic struct {
	Connections   int64  `json:"connections"` // clients connected now
	Accepted      uint64 `json:"connections_accepted"`
	Refused       uint64 `json:"connections_refused"` // turned away because of a limit
	Running       int64  `json:"requests_running"`
	Requests      uint64 `json:"requests"`
	Errors        uint64 `json:"errors"` // requests that failed, whoever's fault it was
	Upstream      int64  `json:"upstream_connections"`
	UpstreamsIdle int64  `json:"upstream_connections_idle"`
	// Snapshots are how many configurations each shard uses: the one in force, and one for each older one that
	// requests still run on; null for a shard that has not said yet.
	Snapshots []*int64 `json:"snapshots_in_use"`

	// Duration is from a request's first byte to its response's last, Own how long the proxy worked on some of them.
	Duration Percentiles `json:"request_seconds"`
	Own      Percentiles `json:"own_seconds"`

	Passing *Passing `json:"passing,omitempty"` // absent: there were requests only

	Shards []Shard `json:"shards"`
}

// Percentiles describe times since the start, in seconds, with an error of at most 2 %.
type Percentiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// Shard is what one shard does, and has done since the start.
type Shard struct {
	ID          int    `json:"id"`
	Connections int64  `json:"connections"`
	Accepted    uint64 `json:"connections_accepted"`
	Running     int64  `json:"requests_running"`
	Requests    uint64 `json:"requests"`
	Errors      uint64 `json:"errors"`
	Upstream    int64  `json:"upstream_connections"`
	Engine      Loop   `json:"engine"`
}

// Loop is what a shard's loop and its I/O backend have done since the start, and the buffer memory they hold now.
type Loop struct {
	Turns       uint64 `json:"turns"`
	Events      uint64 `json:"events"`
	Syscalls    uint64 `json:"syscalls"`
	EmptyBuffer uint64 `json:"receives_without_buffer"`
	BuffersHeld int64  `json:"buffer_bytes_held"`
	Buffers     int64  `json:"buffer_bytes"` // all there are
}

// Reload is one attempt to change the configuration.
type Reload struct {
	Trigger    string    `json:"trigger"` // "signal", "watch", "api", "dns", "tls" or "retry"
	OK         bool      `json:"ok"`
	At         time.Time `json:"at"`
	Seconds    float64   `json:"seconds"`
	Generation uint64    `json:"generation,omitempty"` // that it put in force
	// Error is why it failed, in one line. Faults are the first of those found in the configuration, FaultsFound how
	// many there are.
	Error       string  `json:"error,omitempty"`
	Faults      []Fault `json:"faults,omitempty"`
	FaultsFound int     `json:"faults_found,omitempty"`
}

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Key    string `json:"key,omitempty"`
	Text   string `json:"text"` // all of it in one line, place included
	// Excerpt is the line of the file with a caret under the fault.
	Excerpt string `json:"excerpt,omitempty"`
}

// Reloaded is what POST /api/reload answers: what came of it, and what is in force now.
type Reloaded struct {
	Reload Reload `json:"reload"`
	Config Config `json:"config"`
}
