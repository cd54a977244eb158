package proxy

import (
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/routing"
)

// question is what a worker asks routing tables with: memory that each request uses again.
type question struct {
	request routing.Request
	fields  [h1.MaxFields]routing.Field
}

// timedRoute is route, timed for the requests of the sample. What it takes is a part of their own time; recording it,
// and reading the clock for it, are not.
func (w *Worker) timedRoute(l *link, x *exchange, table *routing.Table, path []byte) int {
	if x.since == 0 {
		return w.route(l, x, table, path)
	}
	w.handedOn(x)
	began := w.sh.Read()
	route := w.route(l, x, table, path)
	took := w.sh.Elapsed(began)
	w.m.Observe(metrics.RoutingTime, took)
	x.own, x.since = x.own+took, w.sh.Read()
	return route
}

// route is the target of the route that x takes, or -1. Of what few tables look at, only that is put together which
// this one does.
func (w *Worker) route(l *link, x *exchange, table *routing.Table, path []byte) int {
	head := w.mem.Bytes(x.head.span)
	r := &w.question.request
	r.Host, r.Path, r.Method = x.req.Authority.In(head), path, x.req.MethodRef.In(head)
	needs := table.Needs()
	if needs&routing.NeedQuery != 0 {
		r.Query = x.req.Query.In(head)
	}
	if needs&routing.NeedClient != 0 {
		r.Client = clientAddr(l).Addr()
	}
	if needs&routing.NeedPort != 0 {
		r.Port = w.destinationPort(l)
	}
	if needs&routing.NeedFields != 0 {
		fields := w.question.fields[:x.req.N]
		for i := range fields {
			f := &x.req.Fields[i]
			fields[i] = routing.Field{Name: f.Name.In(head), Value: f.Value.In(head)}
		}
		r.Fields = fields
	}
	r.TLS, r.ClientCert = nil, nil
	if needs&(routing.NeedTLS|routing.NeedCert) != 0 && l.has(flagSecure) {
		f := &w.secure[x.client-1].facts
		if offer, ok := w.listening.board.Unpack(f.offer); ok {
			r.TLS = (*routing.Hello)(offer)
		}
		if f.cert != nil {
			r.ClientCert = f.cert.names
		}
	}
	return table.Match(r)
}
