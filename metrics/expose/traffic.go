package expose

import (
	"slices"
	"strconv"

	"github.com/uringproxy/uringproxy/metrics"
)

// labelled is a counter or a gauge with the value of the label that tells it from others of its family.
type labelled[T any] struct {
	value string
	of    T
}

// counted is a family that has a sample for each shard and each of the counters.
func counted(name, help, label string, of ...labelled[metrics.Counter]) family {
	return family{name, counter, help, join("shard", label), func(e *encoder, in *Input) {
		for i := range in.Shards {
			for _, c := range of {
				e.count(in.Shards[i].Metrics.Counter(c.of), labelsOf(i, label, c.value)...)
			}
		}
	}}
}

// measured is the same for gauges.
func measured(name, help, label string, of ...labelled[metrics.Gauge]) family {
	return family{name, gauge, help, join("shard", label), func(e *encoder, in *Input) {
		for i := range in.Shards {
			for _, g := range of {
				e.level(in.Shards[i].Metrics.Gauge(g.of), labelsOf(i, label, g.value)...)
			}
		}
	}}
}

// counts is a counted family without a label of its own, levels a measured one.
func counts(name string, c metrics.Counter, help string) family {
	return counted(name, help, "", labelled[metrics.Counter]{"", c})
}

func levels(name string, g metrics.Gauge, help string) family {
	return measured(name, help, "", labelled[metrics.Gauge]{"", g})
}

func join(label, other string) string {
	if other == "" {
		return label
	}
	return label + ", " + other
}

func labelsOf(shard int, label, value string) []string {
	labels := []string{"shard", strconv.Itoa(shard)}
	if label == "" {
		return labels
	}
	return append(labels, label, value)
}

// codes are the classes of final statuses, as labels.
var codes = []labelled[metrics.Counter]{
	{"none", metrics.RequestsUnanswered}, {"1xx", metrics.Requests1xx}, {"2xx", metrics.Requests2xx},
	{"3xx", metrics.Requests3xx}, {"4xx", metrics.Requests4xx}, {"5xx", metrics.Requests5xx},
}

// refusals are the reasons that are always there; others appear when they have happened.
var refusals = []metrics.Reason{metrics.LimitConns, metrics.LimitConnsPerIP}

// clientFamilies are about clients and their requests.
var clientFamilies = []family{
	counted("requests", "Requests that ended, by the class of the final status; none: the client got no response.",
		"code", codes...),
	{"request_errors", counter, "Requests that failed, by the reason that the access log gives too.", "reason",
		func(e *encoder, in *Input) {
			for r := range metrics.Reasons {
				e.count(in.total.Errors(r), "reason", r.Label())
			}
		}},
	levels("requests_running", metrics.ExchangesActive, "Requests that are being worked on."),
	counts("connections_accepted", metrics.ConnsAccepted, "Connections of clients that were accepted."),
	levels("connections_open", metrics.ConnsActive, "Connections of clients that are open."),
	counted("connections_closed", "Connections of clients that were closed: by the client between requests (client), "+
		"as the protocol or a limit of requests says (agreed), after the keep-alive timeout (idle), at a shutdown or "+
		"with their listener (drain), because of an error (error).", "cause",
		labelled[metrics.Counter]{"client", metrics.ConnsClosedPeer},
		labelled[metrics.Counter]{"agreed", metrics.ConnsClosedDone},
		labelled[metrics.Counter]{"idle", metrics.ConnsClosedIdle},
		labelled[metrics.Counter]{"drain", metrics.ConnsClosedDrain},
		labelled[metrics.Counter]{"error", metrics.ConnsClosedError}),
	{"connections_refused", counter, "Clients that were turned away, by the limit that was reached, or by what is " +
		"wrong with them; those of UDP are among them.", "reason", func(e *encoder, in *Input) {
		for r := range metrics.Reasons {
			if n := in.total.Refused(r); n > 0 || slices.Contains(refusals, r) {
				e.count(n, "reason", r.Label())
			}
		}
	}},
	counts("accept_pauses", metrics.AcceptPauses, "Times that accepting stopped because a limit was reached, or the "+
		"system had no descriptor or memory for one more. Who comes meanwhile waits in the kernel's queue."),
	counts("client_received_bytes", metrics.BytesFromClients,
		"Bytes received from clients, heads and framing included."),
	counts("client_sent_bytes", metrics.BytesToClients, "Bytes sent to clients, heads and framing included."),
	counts("access_log_lines", metrics.LogLines, "Lines of the access log that were handed to its writer."),
	counts("access_log_dropped_lines", metrics.LogDropped,
		"Lines of the access log that were lost because its writer did not keep up."),
}

// upstreamFamilies are about connections to endpoints.
var upstreamFamilies = []family{
	counts("upstream_connections_opened", metrics.UpstreamConnects,
		"Connections to endpoints that were opened, or were to be."),
	counts("upstream_connections_reused", metrics.UpstreamReuses, "Requests that took a connection from the pool."),
	counts("upstream_connections_idle_closed", metrics.UpstreamIdleClosed,
		"Connections that were closed in the pool, by either side."),
	levels("upstream_connections_open", metrics.UpstreamConnsOpen,
		"Connections to endpoints that are open, those in the pool included."),
	levels("upstream_connections_idle", metrics.UpstreamConnsIdle, "Connections to endpoints that wait in the pool."),
	counts("upstream_retries", metrics.Retries, "Requests that were tried again on another connection."),
	counts("upstream_received_bytes", metrics.BytesFromUpstreams,
		"Bytes received from endpoints, heads and framing included."),
	counts("upstream_sent_bytes", metrics.BytesToUpstreams,
		"Bytes sent to endpoints, heads and framing included."),
}

// timingFamilies are how long things take.
var timingFamilies = slices.Concat(
	timed("request_duration", metrics.RequestDuration,
		"From the first byte of a request to the last of its response."),
	timed("request_own", metrics.OwnTime, "What this program does with a request: from taking up the bytes that "+
		"complete its head until it is handed to the I/O backend, and from taking up the response's head until that "+
		"is handed there. System calls, waiting and later pieces of bodies are not in it; one request in "+
		strconv.Itoa(metrics.RequestSample)+" is timed."),
	timed("upstream_first_byte", metrics.FirstByteTime,
		"From the last byte of the request sent to the first of the upstream's response."),
	timed("upstream_connect", metrics.ConnectTime, "Opening a connection to an endpoint."),
	timed("routing", metrics.RoutingTime, "Choosing the route of a request, a part of its own time; one request in "+
		strconv.Itoa(metrics.RequestSample)+" is timed."),
	timed("loop_turn", metrics.TurnTime, "Handling the events and deadlines of one turn of a shard's loop, when the "+
		"I/O backend has reported them. The wait and receiving are not in it; sending is with epoll, and is not with "+
		"io_uring. One turn in "+strconv.Itoa(metrics.TurnSample)+" is timed."),
	timed("config_swap", metrics.SwapTime,
		"From the publication of a configuration until a shard has adopted it."),
)
