package expose

import (
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/metrics"
)

// kinds are the values of the label kind: what passes as it is.
var kinds = []struct {
	value string
	of    metrics.Passage
}{{"stream", metrics.Streams}, {"upgrade", metrics.Upgrades}, {"session", metrics.Sessions}}

// done is the reason of what has ended in order.
const done = "done"

// passageFamilies are about what passes as it is, and about the bytes that go before it.
var passageFamilies = []family{
	{"passthrough_opened", counter, "What began to pass as it is, by kind: connections that tcp routes pass on " +
		"(stream), connections that a request has switched to another protocol (upgrade), UDP clients (session).",
		"kind", func(e *encoder, in *Input) {
			for _, k := range kinds {
				e.count(in.total.PassagesBegan(k.of), "kind", k.value)
			}
		}},
	{"passthrough_open", gauge, "What passes as it is at the moment.", "kind", func(e *encoder, in *Input) {
		for _, k := range kinds {
			e.level(in.total.PassagesOpen(k.of), "kind", k.value)
		}
	}},
	{"passthrough_ended", counter, "What has ended, by the reason that the access log gives too; done: in order. An " +
		"idle UDP session ends in order.", "kind, reason", func(e *encoder, in *Input) {
		for _, k := range kinds {
			e.count(in.total.PassagesEnded(k.of, metrics.None), "kind", k.value, "reason", done)
			for r := range metrics.Reasons {
				if n := in.total.PassagesEnded(k.of, r); n > 0 {
					e.count(n, "kind", k.value, "reason", r.Label())
				}
			}
		}
	}},
	counted("passthrough_bytes", "Bytes of streams and upgraded connections, each counted once, by the way that they "+
		"took: copied in small pieces (copied), in large ones (bulk), or moved from socket to socket by the kernel "+
		"(spliced).", "path",
		labelled[metrics.Counter]{"copied", metrics.BytesCopied},
		labelled[metrics.Counter]{"bulk", metrics.BytesBulk},
		labelled[metrics.Counter]{"spliced", metrics.BytesSpliced}),
	levels("pipes_in_use", metrics.PipesUsed, "Pipes in which bytes of streams move."),
	levels("pipes_open", metrics.Pipes, "Pipes that there are, those that wait to be used included."),
	levels("pipes_buffered_bytes", metrics.PipeBytes, "Bytes that are in pipes."),
	levels("first_bytes_awaited", metrics.FirstBytesAwaited,
		"Connections of clients whose PROXY header, or whose first bytes, have not come yet."),
	counted("connections_detected", "Connections of clients on listeners where the first bytes decide, by what they "+
		"were taken for; silent: nothing came in time.", "as",
		labelled[metrics.Counter]{"tls", metrics.DetectedTLS},
		labelled[metrics.Counter]{"http", metrics.DetectedHTTP},
		labelled[metrics.Counter]{"other", metrics.DetectedOther},
		labelled[metrics.Counter]{"silent", metrics.DetectedSilent}),
	{"proxy_headers_received", counter, "PROXY headers of clients, by what became of them: it names the client " +
		"(taken) or nobody (local), there was something else (missing), it breaks the protocol (malformed), it did " +
		"not come in time (late).", "version, result", func(e *encoder, in *Input) {
		for v, version := range []string{"unknown", "1", "2"} {
			for p := range metrics.ProxyHeaders {
				n := in.total.ProxyReceived(uint8(v), p)
				if n > 0 || v > 0 == (p <= metrics.ProxyLocal) {
					e.count(n, "version", version, "result", p.Label())
				}
			}
		}
	}},
	{"proxy_headers_sent", counter, "PROXY headers that endpoints were sent.", "version",
		func(e *encoder, in *Input) {
			e.count(in.total.ProxySent(1), "version", "1")
			e.count(in.total.ProxySent(2), "version", "2")
		}},
	counts("client_received_datagrams", metrics.DatagramsFromClients, "Datagrams received from clients."),
	counts("client_sent_datagrams", metrics.DatagramsToClients, "Datagrams sent to clients."),
	counts("upstream_received_datagrams", metrics.DatagramsFromUpstreams, "Datagrams received from endpoints."),
	counts("upstream_sent_datagrams", metrics.DatagramsToUpstreams, "Datagrams sent to endpoints."),
	{"dropped_datagrams", counter, "Datagrams that were thrown away: there is no route, a limit or a rate was " +
		"reached, the service has no endpoint, there was no memory, it was too long (truncated), a socket was full, " +
		"nobody is there, or a shutdown is under way.", "reason", func(e *encoder, in *Input) {
		for d := range metrics.Drops {
			e.count(in.total.Dropped(d), "reason", d.Label())
		}
	}},
	backend("listener_overrun_datagrams", "Datagrams that the kernel threw away before they could be received: the "+
		"receive buffers of UDP listeners were full.", func(s *Shard) uint64 { return s.Overruns }),
}

// passing is what passes as it is on routes of one kind, and how it is called.
type passing struct {
	label    string // of the routes
	series   metrics.SeriesKind
	noun, is string // one of them in names, and several of them with their route in the help
	bytes    string // before the names of bytes, where the routes have others too
}

// families are those of each route of the kind; of routes where nothing of it has been tried there are no samples.
func (p passing) families() []family {
	each := func(name string, as kind, help string, value func(*metrics.SeriesValues) int64) family {
		write := func(e *encoder, v *metrics.SeriesValues, name string) {
			if p.bytes == "" || v.Opened+v.Refused > 0 {
				e.level(value(v), p.label, name)
			}
		}
		return perSeries(p.label, p.series, name, as, help, p.label, write)
	}
	all := strings.ToUpper(p.is[:1]) + p.is[1:]
	return []family{
		each(p.noun+"s_opened", counter, all+".", func(v *metrics.SeriesValues) int64 { return int64(v.Opened) }),
		each(p.noun+"s_open", gauge, all+", and that are open.",
			func(v *metrics.SeriesValues) int64 { return v.Open }),
		each(p.noun+"s_refused", counter,
			"Clients that the route turned away: what they wanted is not allowed, or a limit of its own was reached.",
			func(v *metrics.SeriesValues) int64 { return int64(v.Refused) }),
		each(p.noun+"_errors", counter, all+", and that did not end in order.",
			func(v *metrics.SeriesValues) int64 { return int64(v.Broken) }),
		each(p.bytes+"received_bytes", counter, "Bytes received from the clients of "+p.is+".",
			func(v *metrics.SeriesValues) int64 { return int64(v.CarriedUp) }),
		each(p.bytes+"sent_bytes", counter, "Bytes sent to the clients of "+p.is+".",
			func(v *metrics.SeriesValues) int64 { return int64(v.CarriedDown) }),
	}
}

// streamFamilies, upgradeFamilies and sessionFamilies are about tcp routes, routes with upgrades, and udp routes.
var (
	streamFamilies = passing{
		label: "stream", series: metrics.StreamSeries, noun: "connection",
		is: "connections that the tcp route passed on",
	}.families()

	upgradeFamilies = passing{
		label: "route", series: metrics.RouteSeries, noun: "upgrade", bytes: "upgrade_",
		is: "connections that a request on the route switched to another protocol",
	}.families()

	sessionFamilies = slices.Concat(
		passing{
			label: "udp_route", series: metrics.DatagramSeries, noun: "session",
			is: "UDP sessions that the udp route began",
		}.families(),
		[]family{
			connections("udp_route", metrics.DatagramSeries, "received_datagrams", counter,
				"Datagrams that came from the udp route's clients and were passed on.",
				func(v *metrics.SeriesValues) int64 { return int64(v.DatagramsUp) }),
			connections("udp_route", metrics.DatagramSeries, "sent_datagrams", counter,
				"Datagrams that the udp route's clients were sent.",
				func(v *metrics.SeriesValues) int64 { return int64(v.DatagramsDown) }),
		})
)
