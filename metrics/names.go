package metrics

// Counter names a number of a Shard that only grows.
type Counter uint8

const (
	ConnsAccepted      Counter = iota // client connections accepted
	ConnsClosedPeer                   // ended by the client between requests
	ConnsClosedDone                   // ended by us as agreed: Connection: close, HTTP/1.0, request limit
	ConnsClosedIdle                   // ended by the keep-alive timeout
	ConnsClosedDrain                  // ended by a shutdown or by a listener that went away
	ConnsClosedError                  // ended by a fault or limit that has a Reason
	AcceptPauses                      // times that accepting was stopped: a limit, ours or the system's, was reached
	RequestsUnanswered                // exchanges without a response, such as those whose client left
	Requests1xx                       // exchanges by the class of their final status: 101 is the only one here
	Requests2xx
	Requests3xx
	Requests4xx
	Requests5xx
	Retries            // exchanges tried again on a fresh connection
	UpstreamConnects   // connections opened to endpoints
	UpstreamReuses     // exchanges that took a pooled connection
	UpstreamIdleClosed // pooled connections closed, by either side, without having failed an exchange
	BytesFromClients   // bytes on the wire, heads and framing included
	BytesToClients
	BytesFromUpstreams
	BytesToUpstreams
	LogLines   // access log lines handed to the writer
	LogDropped // access log lines lost because the ring was full

	// Of TLS connections with clients and with endpoints, after their handshakes. Bytes are those inside the records.
	RecordsOpened
	RecordsSealed
	BytesOpened
	BytesSealed
	KeyUpdatesReceived
	KeyUpdatesSent
	CiphersLetGo // connections that came to rest: they were unused for so long that they do without ciphers
	RecordFaults // connections ended because of a record that is none, or was not sealed with their key
	Truncations  // connections whose peer ended them without close_notify while something was still to come

	// Bytes of streams and upgrades by the way that they took, each byte once: copied in small pieces, copied in large
	// ones, or moved from socket to socket by the kernel (splice).
	BytesCopied
	BytesBulk
	BytesSpliced

	// Datagrams that were received and sent on either side. Their bytes are in BytesFromClients and its likes.
	DatagramsFromClients
	DatagramsToClients
	DatagramsFromUpstreams
	DatagramsToUpstreams

	// What a connection was taken for where its first bytes decide.
	DetectedTLS
	DetectedHTTP
	DetectedOther
	DetectedSilent // nothing came in time
	counters
)

var counterNames = [counters]string{
	"connections accepted", "connections closed by peer", "connections closed as agreed",
	"connections closed idle", "connections closed by drain", "connections closed by error", "accept pauses",
	"requests unanswered", "requests 1xx", "requests 2xx", "requests 3xx", "requests 4xx", "requests 5xx", "retries",
	"upstream connects", "upstream reuses", "upstream idle closed",
	"bytes from clients", "bytes to clients", "bytes from upstreams", "bytes to upstreams",
	"log lines", "log lines dropped",
	"records opened", "records sealed", "bytes opened", "bytes sealed", "key updates received",
	"key updates sent",
	"ciphers let go", "record faults", "truncations", "bytes copied", "bytes copied in bulk", "bytes spliced",
	"datagrams from clients", "datagrams to clients", "datagrams from upstreams", "datagrams to upstreams",
	"detected TLS", "detected HTTP", "detected other", "detected silent",
}

func (c Counter) String() string { return counterNames[c] }

// StatusClass is the counter of exchanges with that final status.
func StatusClass(status int) Counter {
	if class := uint(status) / 100; class <= 5 {
		return RequestsUnanswered + Counter(class)
	}
	return RequestsUnanswered
}

// Gauge names a number of a Shard that goes up and down.
type Gauge uint8

const (
	ConnsActive       Gauge = iota // client connections open
	ExchangesActive                // requests being worked on
	UpstreamConnsOpen              // connections to endpoints, idle ones included
	UpstreamConnsIdle              // connections to endpoints that wait in a pool
	SmallBuffersUsed               // buffers of each class that somebody holds, the backend included
	BulkBuffersUsed
	HeadBuffersUsed
	SmallBuffers // buffers of each class that there are
	BulkBuffers
	HeadBuffers
	Generation        // of the snapshot that the shard has adopted
	OldestGeneration  // of the oldest snapshot that something on the shard still uses
	SnapshotsInUse    // the current one, and those that something on the shard still uses
	LastSwap          // how long after its publication the shard adopted that snapshot, in nanoseconds
	TLSConnsOpen      // client connections over TLS that have their handshake behind them
	TLSHellosAwaited  // client connections whose ClientHello is not complete
	HandshakesRunning // TLS handshakes that have a goroutine, on both sides
	HandshakesWaiting // TLS handshakes in line for one
	RecordBuffersUsed
	RecordBuffers
	FirstBytesAwaited // client connections whose PROXY header or first bytes are awaited
	PipesUsed         // pipes that a splicing stream has
	Pipes             // pipes that are open, those in the pool included
	PipeBytes         // bytes that are in pipes
	gauges
)

var gaugeNames = [gauges]string{
	"connections active", "exchanges active", "upstream connections open", "upstream connections idle",
	"small buffers used", "bulk buffers used", "head buffers used", "small buffers", "bulk buffers", "head buffers",
	"generation", "oldest generation", "snapshots in use", "last swap",
	"TLS connections open", "TLS hellos awaited", "TLS handshakes running", "TLS handshakes waiting",
	"record buffers used", "record buffers", "first bytes awaited", "pipes used", "pipes", "bytes in pipes",
}

func (g Gauge) String() string { return gaugeNames[g] }

// Timing names something whose distribution is kept: how long it takes, in nanoseconds, unless it says otherwise. What
// needs readings of the clock of its own is sampled, at fixed intervals, because a reading costs as much as everything
// else that is recorded of a request.
//
// OwnTime is what this program does with a request, by readings of the clock: from the beginning of the event that
// completes the request's head until the request, or the wish for a connection, or a response of ours is handed to the
// I/O backend; and from the beginning of each event with a part of the response's head until that part is handed there,
// or more of it has to be awaited. Pieces of bodies that come with the heads are in it, later ones are not; nor are
// waiting of any kind and what the backend does, which is all system calls. A request whose head was never understood
// has none.
type Timing uint8

const (
	RequestDuration Timing = iota // from a request's first byte to its response's last
	FirstByteTime                 // from the request sent to the upstream's first byte
	ConnectTime                   // opening a connection to an endpoint
	OwnTime                       // handling the heads of a request and of its response: one request in RequestSample
	RoutingTime                   // choosing the route of a request, a part of OwnTime: of the same requests
	TurnTime                      // handling the events and deadlines of a turn, after Poll: one turn in TurnSample
	TurnEvents                    // events in such a turn: a number
	SwapTime                      // from a snapshot's publication until the shard has adopted it
	HandshakeTime                 // a client's TLS handshake, from the connection's first byte to its end
	UpstreamTLSTime               // a TLS handshake with an endpoint
	CertificateTime               // finding policy and certificate for a ClientHello's name
	RecordTime                    // opening and sealing TLS records, a part of OwnTime: of the same requests
	timings
)

// One in so many is timed, the first one included. For requests it is a prime: connections that are served in turns
// are seldom a multiple of it, so that each of them comes into the sample. The first turn is the first Poll's: what
// comes before it is start-up.
const (
	RequestSample = 61
	TurnSample    = 8
)

var timingNames = [timings]string{
	"request duration", "upstream first byte", "upstream connect", "own time", "routing", "loop turn",
	"events per turn", "snapshot swap", "TLS handshake", "upstream TLS handshake", "certificate lookup", "TLS records",
}

func (t Timing) String() string { return timingNames[t] }
