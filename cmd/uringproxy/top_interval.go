package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/admin"
)

// interval is what a process did between two times at which it was asked.
type interval struct {
	now      *admin.Metrics
	seconds  float64
	total    activity
	shards   []activity
	services []activity
}

// activity is what a shard, all of them or a service did in an interval, and has at its end.
type activity struct {
	name             string
	requests, errors uint64
	duration         admin.Distribution

	// Of shards alone.
	own, firstByte, routing, turn  admin.Distribution
	received, sent                 uint64
	running, connections           int64
	upstream, upstreamIdle         int64
	turns, events, syscalls, empty uint64
	held, buffers                  int64

	secure                   bool // there is TLS, with what follows
	encrypted, shaking       int64
	shaken, resumed, refused uint64
	handshake, records       admin.Distribution

	passage passage
}

// between is the interval from one answer to the next; nil if they come from two processes.
func between(before, now *admin.Metrics) *interval {
	seconds := now.Uptime - before.Uptime
	if !before.Started.Equal(now.Started) || before.PID != now.PID || seconds <= 0 ||
		len(before.Shards) != len(now.Shards) {
		return nil
	}
	i := &interval{now: now, seconds: seconds}
	for n := range now.Shards {
		a := shardActivity(&before.Shards[n], &now.Shards[n])
		i.shards = append(i.shards, a)
		i.total.add(&a)
	}
	was := map[string]*admin.Series{}
	for n := range before.Services {
		was[before.Services[n].Name] = &before.Services[n]
	}
	for n := range now.Services {
		s := &now.Services[n]
		old := was[s.Name]
		if old == nil || old.Requests > s.Requests { // its figures began anew
			old = &admin.Series{}
		}
		i.services = append(i.services, activity{
			name: printable(s.Name), requests: s.Requests - old.Requests, errors: since(s.Errors, old.Errors),
			duration: s.Duration.Since(old.Duration),
		})
	}
	return i
}

func since(now, before uint64) uint64 { return now - min(now, before) }

func shardActivity(before, now *admin.Figures) activity {
	a := activity{
		name:     thousands(float64(now.ID)),
		requests: since(now.Requests, before.Requests), errors: since(now.Errors, before.Errors),
		duration: now.Duration.Since(before.Duration), own: now.Own.Since(before.Own),
		firstByte: now.FirstByte.Since(before.FirstByte), routing: now.Routing.Since(before.Routing),
		turn:     now.Turn.Since(before.Turn),
		received: since(now.BytesReceived, before.BytesReceived), sent: since(now.BytesSent, before.BytesSent),
		running: now.Running, connections: now.Connections, upstream: now.Upstream, upstreamIdle: now.UpstreamIdle,
	}
	e, old := &now.Engine, &before.Engine
	a.held, a.buffers = e.BuffersHeld, e.Buffers
	a.turns, a.events = since(e.Turns, old.Turns), since(e.Events, old.Events)
	a.syscalls, a.empty = since(e.Syscalls, old.Syscalls), since(e.EmptyBuffer, old.EmptyBuffer)
	a.passage = passageBetween(before.Passing, now.Passing)
	if now.TLS != nil {
		a.shake(before.TLS, now.TLS)
	}
	return a
}

// shake notes what was done of TLS.
func (a *activity) shake(before, now *admin.TLSFigures) {
	if before == nil {
		before = &admin.TLSFigures{}
	}
	a.secure, a.encrypted, a.shaking = true, now.Connections, now.Running
	a.shaken, a.resumed = since(now.Done, before.Done), since(now.Resumed, before.Resumed)
	a.refused = since(now.Failed, before.Failed)
	a.handshake, a.records = now.Handshake.Since(before.Handshake), now.Records.Since(before.Records)
}

// add makes a what both did.
func (a *activity) add(b *activity) {
	a.requests, a.errors = a.requests+b.requests, a.errors+b.errors
	a.duration, a.own = a.duration.Plus(b.duration), a.own.Plus(b.own)
	a.firstByte, a.routing, a.turn = a.firstByte.Plus(b.firstByte), a.routing.Plus(b.routing), a.turn.Plus(b.turn)
	a.received, a.sent = a.received+b.received, a.sent+b.sent
	a.running, a.connections = a.running+b.running, a.connections+b.connections
	a.upstream, a.upstreamIdle = a.upstream+b.upstream, a.upstreamIdle+b.upstreamIdle
	a.turns, a.events, a.syscalls = a.turns+b.turns, a.events+b.events, a.syscalls+b.syscalls
	a.empty, a.held, a.buffers = a.empty+b.empty, a.held+b.held, a.buffers+b.buffers
	a.secure = a.secure || b.secure
	a.encrypted, a.shaking = a.encrypted+b.encrypted, a.shaking+b.shaking
	a.shaken, a.resumed, a.refused = a.shaken+b.shaken, a.resumed+b.resumed, a.refused+b.refused
	a.handshake, a.records = a.handshake.Plus(b.handshake), a.records.Plus(b.records)
	a.passage.add(&b.passage)
}

// costs says where the time of a request goes, on average: choosing its route, opening and sealing records, the rest of
// the proxy's own work, and all else, which is waiting for the upstream above all.
func (a *activity) costs() (routing, records, rest, upstream time.Duration) {
	own := a.own.Mean()
	routing = min(a.routing.Mean(), own)
	records = min(a.records.Mean(), own-routing)
	return routing, records, own - routing - records, max(a.duration.Mean()-own, 0)
}

// Orders of rows, each with the name that is shown.
const (
	byRequests = iota
	byErrors
	byP99
	byName
	orders
)

var orderNames = [orders]string{"requests", "errors", "p99", "name"}

// sorted puts the greatest first, and what is equal in the order of names.
func sorted(rows []activity, order int) []activity {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b activity) int {
		switch order {
		case byRequests:
			return cmp.Compare(b.requests, a.requests)
		case byErrors:
			return cmp.Compare(b.errors, a.errors)
		case byP99:
			return cmp.Compare(b.duration.Quantile(0.99), a.duration.Quantile(0.99))
		}
		return 0
	})
	return rows
}
