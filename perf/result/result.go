// Package result is what a benchmark found out, as plain values: perf/bench fills it in, perf/report shows it as a
// table, as JSON or as a page. What is in a JSON file can be read back and shown again.
//
// It measures nothing, knows no process and imports nothing of ours. Fields are added, never renamed.
package result

import "time"

// Run is everything that one benchmark found out.
type Run struct {
	Command   string     `json:"command"` // as it can be typed again
	Version   string     `json:"version"` // of uringproxy
	Started   time.Time  `json:"started"`
	Seconds   float64    `json:"seconds"`
	Machine   Machine    `json:"machine"`
	Peers     []Peer     `json:"peers"` // the first is the one that ratios of uringproxy are read against first
	Scenarios []Scenario `json:"scenarios"`
	Notes     []string   `json:"notes,omitempty"` // what a reader has to know, such as too few cores
}

// Machine is where it ran.
type Machine struct {
	Kernel    string `json:"kernel"`
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Memory    int64  `json:"memory_bytes"`
	Virtual   string `json:"virtual,omitempty"` // hypervisor, where one is known
	Go        string `json:"go"`
	ProxyCore int    `json:"proxy_core"`
	LoadCore  int    `json:"load_core"`
}

// Peer is a proxy that took part.
type Peer struct {
	Name    string `json:"name"` // "uringproxy-uring", "nginx"
	Ours    bool   `json:"ours"`
	Program string `json:"program"` // path
	Version string `json:"version"`
}

// Unit says what a cost is by.
type Unit string

// The units of Scenario.Cost and Stat figures.
const (
	PerRequest    Unit = "µs/request"
	PerByte       Unit = "ns/byte"
	PerConnection Unit = "bytes/connection"
	P99           Unit = "ms" // p99 itself, at a fixed rate
	P99Ratio      Unit = "ratio"
)

// Scenario is one kind of load, and what each peer did with it.
type Scenario struct {
	Name  string `json:"name"`  // as it is chosen: "http1-small"
	Title string `json:"title"` // what it does, in a line
	Unit  Unit   `json:"unit"`  // of Cell.Cost
	Load  string `json:"load"`  // connections, rate, seconds, rounds, in words
	Cells []Cell `json:"cells"` // one for each peer, in the order of Run.Peers
}

// Cell is what one peer did in one scenario.
type Cell struct {
	Peer string `json:"peer"`
	// Problem says why there are no figures, or none to be relied on: it is missing, crashed, answered with errors,
	// cannot be configured for this. Empty when there is none.
	Problem string `json:"problem,omitempty"`
	// Noisy says why the figures must not be quoted: others used the cores, the rounds disagree. Empty when they
	// may.
	Noisy  string  `json:"noisy,omitempty"`
	Config string  `json:"config,omitempty"` // the text of its configuration
	Rounds []Round `json:"rounds,omitempty"`

	Cost       Spread `json:"cost"`       // CPU time in the scenario's Unit, or what the Unit says
	Throughput Spread `json:"throughput"` // requests per second
	BytesRate  Spread `json:"bytes_rate"` // body bytes per second
	P50        Spread `json:"p50_ms"`     // latencies
	P99        Spread `json:"p99_ms"`     //
	P999       Spread `json:"p999_ms"`    //
	Max        Spread `json:"max_ms"`     //
	Memory     Spread `json:"memory_mib"` // of all its processes
	Errors     int    `json:"errors"`     // of all that was measured, also beside the rounds
	Rate       int    `json:"rate"`       // requests per second that were due, in an open loop; 0: closed
	// Histogram is the latencies of all rounds in ns: compressed V2 of HdrHistogram, base64.
	Histogram string `json:"histogram,omitempty"`

	// Ratios are Cost of this cell divided by Cost of another peer in the same round, by that peer's name.
	Ratios map[string]Spread `json:"ratios,omitempty"`
	// Unclear says why a ratio must not be quoted, by the other peer's name. A ratio without an entry may be, unless
	// there is no map at all: then nobody has looked at the ratios, only at Noisy of either peer.
	Unclear map[string]string `json:"unclear,omitzero"`
	// At is Cost of this cell under the load of another peer, by that peer's name, where each has its own, as at a
	// fixed rate; then Ratios are those of At to the other's Cost.
	At      map[string]Spread `json:"at,omitempty"`
	Changes *Changes          `json:"changes,omitempty"` // where the configuration changed meanwhile
	Notes   []string          `json:"notes,omitempty"`   // what else was found out, in words
}

// Changes are what became of changes of the configuration under load, in all rounds, and of who was served meanwhile.
type Changes struct {
	Written int `json:"written"` // that the proxy was told of
	Live    int `json:"live"`    // of these, were seen to work before the next one was written
	Dropped int `json:"dropped"` // streams that ended or went wrong
	Lost    int `json:"lost"`    // requests whose connection could not be had, or ended before the answer was whole
}

// Spread is the middle and the range of what the rounds found. It is zero when there is no figure.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Count  int     `json:"count"`
}

// Round is one turn of one peer.
type Round struct {
	Requests int      `json:"requests"`
	Bytes    int64    `json:"bytes"` // of bodies, both ways
	Errors   int      `json:"errors"`
	Samples  []string `json:"samples,omitempty"` // the first errors, in words
	Seconds  float64  `json:"seconds"`
	CPU      float64  `json:"cpu_seconds"` // of all threads and processes of the proxy
	Cost     float64  `json:"cost"`
	P50      float64  `json:"p50_ms"`
	P99      float64  `json:"p99_ms"`
	P999     float64  `json:"p999_ms"`
	Max      float64  `json:"max_ms"`
	Memory   float64  `json:"memory_mib"`
	Foreign  float64  `json:"foreign"`   // part of the proxy's core that others used
	LoadBusy float64  `json:"load_busy"` // part of the load generator's core that was in use
	// LoadForeign is the part of it that others than the load generator, the upstream and the benchmark used.
	LoadForeign float64 `json:"load_foreign"`
	Lag99       float64 `json:"lag99_ms"` // what of P99 is the load generator's own delay
	// P99Before and Lag99Before are the same of a phase before, to which Cost compares, where there is one.
	P99Before   float64 `json:"p99_before_ms,omitempty"`
	Lag99Before float64 `json:"lag99_before_ms,omitempty"`
	// UpstreamConnections is how many connections the upstream accepted.
	UpstreamConnections int `json:"upstream_connections"`
}
