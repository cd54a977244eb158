// Package accesslog turns finished exchanges, and what was passed on as it is, into lines and carries them from the
// shards to the log's writer.
//
// A shard describes an exchange in a Record and appends it to its own Ring: the line is encoded there and then, without
// waiting and without allocating; when the ring is full it is dropped and counted. The other end of the rings, which
// touches files, is accesslog/sink.
//
// Invariants: a ring has one producer and one consumer; only whole lines, each ending in a line feed, become visible to
// the consumer; a line has at most MaxLine bytes whatever the client sent, and holds no byte that a terminal or a
// parser of the format would act upon.
//
// It is part of the data plane: it imports metrics, internal/invariant, x/sys/unix and the standard library's
// formatting packages, and may be imported by proxy, server and accesslog/sink.
package accesslog

import (
	"net/netip"
	"unsafe"

	"github.com/uringproxy/uringproxy/metrics"
)

// Record describes one finished exchange, or a stream, an upgraded connection or a UDP session that has ended: these
// have a Protocol, and of the rest what there is to say. The byte slices are read during Ring.Append only and may point
// into buffers that are reused afterwards. Empty or negative values are left out of the line, or written as "-", as the
// format has it.
type Record struct {
	Time      int64 // when the request's first byte was read, in nanoseconds since 1970 UTC
	Duration  int64 // from that byte to the response's last, in nanoseconds, as are the next three
	Upstream  int64 // from choosing an endpoint to the last byte from it; negative: no upstream was asked
	FirstByte int64 // from the request sent to the upstream's first byte; negative: none came
	Overhead  int64 // the part of Duration that was spent in this program; negative: not measured

	BytesIn  int64 // body of the request as it came, chunk framing included; or what the client has sent
	BytesOut int64 // body of the response as it was sent, chunk framing included; or what the client was sent

	DatagramsIn, DatagramsOut int64 // of a UDP session, from its client and to it

	Client netip.AddrPort // the zero value for a client on a unix socket

	Method, Host, Target          []byte // as received; empty when the request head could not be read
	RequestID, UserAgent, Referer []byte
	Detail                        []byte // more about Reason, such as the parser's verdict or an errno's name
	Protocol                      []byte // "tcp", "tls", "udp" or the upgrade's name; empty for an exchange
	Scheme                        string // "http" or "https", or how the client is connected: "tcp", "tls" or "udp"
	Route, Service, Endpoint      string // by their names in the configuration
	TLSVersion, TLSSuite          string // "1.2" or "1.3", and the registry's name; empty on a plain connection
	SNI                           string // the name of the server that the client asked for, in lower case
	ClientCert                    []byte // subject of the client's certificate; empty unless it was verified
	Status                        uint16 // 0: the client got no response
	Minor                         uint8  // HTTP/1.Minor
	Retries                       uint8  // times that the request was sent again
	Reason                        metrics.Reason
	ClientReused                  bool // not the first request of its connection
	UpstreamReused                bool // the connection to the endpoint came from the pool
	Resumed                       bool // the client's TLS session is an earlier one
}

// Longest parts of a line, in bytes before escaping. What is longer is cut, and "..." marks the cut.
const (
	maxTarget  = 8192
	maxReferer = 2048
	maxAgent   = 1024
	maxName    = 256 // host, route, service, endpoint, detail, server name, client certificate
	maxToken   = 128 // method, scheme, protocol, request id, TLS version, suite
)

// MaxLine is the length of the longest line, its line feed included: everything at its longest, each byte escaped as
// six, and the constant parts.
const MaxLine = 6*(maxTarget+maxReferer+maxAgent+7*maxName+6*maxToken) + 1024

// Format is the form of a line.
type Format uint8

const (
	JSON     Format = iota // an object
	Combined               // the combined log format of Apache httpd and nginx
)

// encoder appends lines in one format. It has one user at a time.
type encoder struct {
	format Format
	clock  clock
}

// newEncoder makes an encoder for f.
func newEncoder(f Format) encoder { return encoder{format: f} }

// appendLine appends rec's line, at most MaxLine bytes, to dst.
func (e *encoder) appendLine(dst []byte, rec *Record) []byte {
	if e.format == Combined {
		return e.appendCombined(dst, rec)
	}
	return e.appendJSON(dst, rec)
}

// view is s as bytes, which must not be written to.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
