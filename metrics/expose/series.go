package expose

import (
	"fmt"

	"github.com/uringproxy/uringproxy/metrics"
)

// perSeries is a family with samples for each series of a kind.
func perSeries(
	label string, k metrics.SeriesKind, name string, of kind, help, labels string,
	write func(*encoder, *metrics.SeriesValues, string),
) family {
	return family{label + "_" + name, of, help, labels, func(e *encoder, in *Input) {
		for i := range in.Series[k] {
			v := &in.Series[k][i]
			write(e, v, v.Name)
		}
	}}
}

// seriesFamilies are those that listeners, services and routes have. A series whose duration is not known yet, because
// nothing has ended on it, has no histogram: there may be thousands of them.
func seriesFamilies(label string, k metrics.SeriesKind) []family {
	over := fmt.Sprintf(" Beyond %d names the rest is counted as %s.", k.Capacity(), metrics.OtherName)
	each := func(name, help string, of func(*metrics.SeriesValues) uint64) family {
		write := func(e *encoder, v *metrics.SeriesValues, name string) { e.count(of(v), label, name) }
		return perSeries(label, k, name, counter, help, label, write)
	}
	requests := func(e *encoder, v *metrics.SeriesValues, name string) {
		for i, c := range codes {
			e.count(v.Requests[i], label, name, "code", c.value)
			e.created(v.Since, label, name, "code", c.value)
		}
	}
	durations := func(e *encoder, v *metrics.SeriesValues, name string) {
		if v.Duration.Count() > 0 {
			e.spans(&v.Duration, label, name)
		}
	}
	return []family{
		perSeries(label, k, "requests", counter,
			"Requests of the "+label+" that ended, by the class of the final status."+over,
			join(label, "code"), requests),
		each("request_errors", "Requests of the "+label+" that failed.",
			func(v *metrics.SeriesValues) uint64 { return v.Errors }),
		each("received_bytes", "Bytes of the "+label+"'s requests as clients sent them.",
			func(v *metrics.SeriesValues) uint64 { return v.Received }),
		each("sent_bytes", "Bytes of responses that clients of the "+label+" were sent.",
			func(v *metrics.SeriesValues) uint64 { return v.Sent }),
		perSeries(label, k, "request_duration_seconds", histogram,
			"From the first byte of a request of the "+label+" to the last of its response.", label, durations),
	}
}

// listenerFamilies and serviceFamilies are what only these have.
var listenerFamilies = []family{
	connections("listener", metrics.ListenerSeries, "connections_accepted", counter,
		"Connections of clients that the listener accepted.",
		func(v *metrics.SeriesValues) int64 { return int64(v.Opened) }),
	connections("listener", metrics.ListenerSeries, "connections_open", gauge,
		"Connections of the listener's clients that are open.",
		func(v *metrics.SeriesValues) int64 { return v.Open }),
}

var serviceFamilies = []family{
	connections("service", metrics.ServiceSeries, "connections_opened", counter,
		"Connections to endpoints that were opened for the service, or were to be.",
		func(v *metrics.SeriesValues) int64 { return int64(v.Opened) }),
	connections("service", metrics.ServiceSeries, "connect_failures", counter,
		"Connections to endpoints that could not be opened for the service.",
		func(v *metrics.SeriesValues) int64 { return int64(v.Failed) }),
	connections("service", metrics.ServiceSeries, "retries", counter,
		"Requests of the service that were tried again on another connection.",
		func(v *metrics.SeriesValues) int64 { return int64(v.Retried) }),
	connections("service", metrics.ServiceSeries, "connections_open", gauge,
		"Connections to endpoints that the service opened and that are open, those in the pool included.",
		func(v *metrics.SeriesValues) int64 { return v.Open }),
	connections("service", metrics.ServiceSeries, "connections_idle", gauge,
		"Connections to endpoints that the service opened and that wait in the pool.",
		func(v *metrics.SeriesValues) int64 { return v.Idle }),
}

// connections is a family with a number of connections for each series of a kind.
func connections(
	label string, k metrics.SeriesKind, name string, of kind, help string, value func(*metrics.SeriesValues) int64,
) family {
	write := func(e *encoder, v *metrics.SeriesValues, name string) { e.level(value(v), label, name) }
	return perSeries(label, k, name, of, help, label, write)
}
