package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"iter"
	"net/http"
	"net/netip"
	"time"
)

// Running is what GET /api/config answers: the configuration in force, with all that was left to defaults or rounded by
// the machine filled in. What may be a secret in it, which is a value that a rule asks a header or a query for, is
// shown as *** unless those who ask have to show a token. Services and Routes may be a great many, and are handed out
// one by one.
type Running struct {
	Generation uint64          `json:"generation"` // counts configurations that were in force
	Source     string          `json:"source"`     // files, or "embedded default"
	Loaded     time.Time       `json:"loaded"`
	Age        float64         `json:"age_seconds"`
	Listeners  []RunningListen `json:"listeners"`
	Limits     RunningLimits   `json:"limits"`
	Timeouts   RunningTimeouts `json:"timeouts"`
	Paths      RunningPaths    `json:"paths"`
	Forward    RunningForward  `json:"forward"`
	AccessLog  RunningLog      `json:"access_log"`

	Services  iter.Seq[RunningService] `json:"-"`
	Routes    iter.Seq[RunningRoute]   `json:"-"`
	TCPRoutes iter.Seq[RunningStream]  `json:"-"`
	UDPRoutes iter.Seq[RunningStream]  `json:"-"`
}

// RunningListen is a listener.
type RunningListen struct {
	Name     string         `json:"name"`
	Address  string         `json:"address"`
	Protocol string         `json:"protocol"`
	Trusted  []netip.Prefix `json:"trusted_proxies"`
	Proxied  []netip.Prefix `json:"proxy_protocol"`
}

// RunningService is a service, with the addresses that the names of its endpoints have now.
type RunningService struct {
	Name      string            `json:"name"`
	Balance   string            `json:"balance"`
	Proxy     string            `json:"proxy_protocol,omitempty"` // absent: endpoints are sent no such header
	Endpoints []RunningEndpoint `json:"endpoints"`
}

// RunningEndpoint is one address of a service.
type RunningEndpoint struct {
	URL     string `json:"url"` // as it was written
	Address string `json:"address"`
	// Share is how many of Cycle requests in a row it gets.
	Share int `json:"share"`
	Cycle int `json:"cycle"`
}

// RunningRoute is a route.
type RunningRoute struct {
	Name      string   `json:"name"`
	Listeners []string `json:"listeners,omitempty"` // absent: all that have requests
	Rule      string   `json:"rule,omitempty"`      // absent: every request
	Priority  int      `json:"priority"`
	Service   string   `json:"service"`
	Upgrades  []string `json:"upgrades"`
	Connect   bool     `json:"connect,omitempty"`
}

// RunningStream is a tcp route or a udp route.
type RunningStream struct {
	Name      string   `json:"name"`
	Listeners []string `json:"listeners"`      // all that it is for
	Rule      string   `json:"rule,omitempty"` // absent: every connection, or every client
	Priority  int      `json:"priority"`
	Service   string   `json:"service"`
	TLS       string   `json:"tls,omitempty"` // of a tcp route: "passthrough" or "terminate"

	MaxConnections  int `json:"max_connections"` // 0: no limit
	ConnectionRate  int `json:"connection_rate"` // 0: no limit
	ConnectionBurst int `json:"connection_burst"`
}

// RunningLimits are as in [limits]; 0 is no limit where that can be.
type RunningLimits struct {
	MaxConnections          int   `json:"max_connections"`
	MaxConnectionsPerIP     int   `json:"max_connections_per_ip"`
	LineBytes               int   `json:"line_bytes"`
	HeaderBytes             int   `json:"header_bytes"`
	HeaderCount             int   `json:"header_count"`
	BodyBytes               int64 `json:"body_bytes"`
	UpstreamIdleConnections int   `json:"upstream_idle_connections"`
	UpstreamConnections     int   `json:"upstream_connections"`
	RequestsPerConnection   int   `json:"requests_per_connection"`
	MinBodyRate             int   `json:"min_body_rate"`
	ShardBufferBytes        int64 `json:"shard_buffer_bytes"`
	UDPSessions             int   `json:"udp_sessions"`
	UDPSessionsPerIP        int   `json:"udp_sessions_per_ip"`
}

// RunningTimeouts are as in [timeouts], in seconds.
type RunningTimeouts struct {
	Header         float64 `json:"header_seconds"`
	Idle           float64 `json:"idle_seconds"`
	Connect        float64 `json:"connect_seconds"`
	FirstByte      float64 `json:"first_byte_seconds"`
	UpstreamIdle   float64 `json:"upstream_idle_seconds"`
	ResponseIdle   float64 `json:"response_idle_seconds"`
	BodyRateWindow float64 `json:"body_rate_window_seconds"`
	Linger         float64 `json:"linger_seconds"`
	Drain          float64 `json:"drain_seconds"`
	Detect         float64 `json:"detect_seconds"`
	StreamIdle     float64 `json:"stream_idle_seconds"`
	UpgradeIdle    float64 `json:"upgrade_idle_seconds"`
	SessionIdle    float64 `json:"session_idle_seconds"`
}

// RunningPaths is as in [paths].
type RunningPaths struct {
	EncodedSlash string `json:"encoded_slash"`
	EncodedNUL   string `json:"encoded_nul"`
	MergeSlashes bool   `json:"merge_slashes"`
	Forward      string `json:"forward"`
}

// RunningForward is as in [forward].
type RunningForward struct {
	XForwarded bool `json:"x_forwarded"`
	Forwarded  bool `json:"forwarded"`
	RequestID  bool `json:"request_id"`
	Via        bool `json:"via"`
}

// RunningLog is as in [log.access].
type RunningLog struct {
	Path   string `json:"path"` // empty: nothing is recorded
	Format string `json:"format"`
}

// bufferBytes is what the configuration is written in pieces of.
const bufferBytes = 32 << 10

// config writes the configuration as it goes through it, so that a hundred thousand routes take no memory.
func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "application/json")
		return
	}
	c := s.process.Running()
	head, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(http.ErrAbortHandler) // no value of it can fail
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, bufferBytes)
	_, _ = out.Write(bytes.TrimSuffix(head, []byte("\n}")))
	whole := writeList(out, "services", c.Services) && writeList(out, "routes", c.Routes) &&
		writeList(out, "tcp_routes", c.TCPRoutes) && writeList(out, "udp_routes", c.UDPRoutes)
	_, _ = out.WriteString("\n}\n")
	if err := out.Flush(); err != nil || !whole {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// writeList writes a member of an object that has others before it, an item in a line. It stops when who asked has
// left.
func writeList[T any](out *bufio.Writer, name string, items iter.Seq[T]) (whole bool) {
	_, _ = out.WriteString(",\n  \"" + name + "\": [")
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if items == nil {
		items = func(func(T) bool) {}
	}
	comma := ""
	for item := range items {
		line.Reset()
		if e.Encode(item) != nil {
			return false
		}
		_, _ = out.WriteString(comma + "\n    ")
		comma = ","
		if _, err := out.Write(bytes.TrimSuffix(line.Bytes(), []byte("\n"))); err != nil {
			return false
		}
	}
	_, err := out.WriteString("\n  ]")
	return err == nil
}
