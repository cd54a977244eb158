package metrics

import (
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func TestNamesAreCompleteAndDistinct(t *testing.T) {
	seen := map[string]bool{}
	note := func(kind, name string) {
		t.Helper()
		if name == "" || seen[kind+name] {
			t.Errorf("%s has an empty or repeated name %q", kind, name)
		}
		seen[kind+name] = true
	}
	for c := range counters {
		note("counter", c.String())
	}
	for g := range gauges {
		note("gauge", g.String())
	}
	for m := range timings {
		note("timing", m.String())
	}
	for p := range passages {
		note("passage", p.String())
	}
	for d := range Drops {
		note("drop", d.Label())
	}
	for p := range ProxyHeaders {
		note("header", p.Label())
	}
	for r := None + 1; r < reasons; r++ {
		note("label", r.Label())
		note("reason", r.String())
		if r.Text() == "" || r.While() == "" {
			t.Errorf("reason %d lacks a text or a phrase", r)
		}
		if strings.Trim(r.Label(), "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("label %q has other characters than a-z and _", r.Label())
		}
	}
	if None.String() != "none" || None.Label() != "" || None.While() != "" {
		t.Error("None must have no label and no phrase")
	}
}

func TestHandshakes(t *testing.T) {
	set := NewSet(2)
	set.Shard(0).Handshake(&Handshake{TLS13: true, Resumed: true, Duration: 2000})
	set.Shard(1).Handshake(&Handshake{TLS13: true, Duration: 4000})
	set.Shard(1).Handshake(&Handshake{End: HandshakeTimeout})
	set.Shard(1).Handshake(&Handshake{Side: Upstreams, End: HandshakeCertificate})
	set.Shard(0).HelloRefused(7)
	set.Shard(1).HelloRefused(250)
	set.Shard(1).AlertReceived(42)
	for name, s := range map[string]*Snapshot{"snapshot": set.Snapshot(), "sum": Sum(set.Shards())} {
		if s.Handshakes(Clients, HandshakeDone) != 2 || s.HandshakesDone(Clients, true, true) != 1 ||
			s.HandshakesDone(Clients, true, false) != 1 || s.HandshakesDone(Clients, false, false) != 0 {
			t.Errorf("%s: those that are done are miscounted", name)
		}
		if s.HandshakesFailed(Clients) != 1 || s.HandshakesFailed(Upstreams) != 1 {
			t.Errorf("%s: %d and %d failed", name, s.HandshakesFailed(Clients), s.HandshakesFailed(Upstreams))
		}
		if h := s.Timing(HandshakeTime); h.Count != 2 || h.Sum != 6000 || s.Timing(UpstreamTLSTime).Count != 0 {
			t.Errorf("%s: %d times of %d ns", name, h.Count, h.Sum)
		}
		hellos, alerts := map[uint8]uint64{}, map[uint8]uint64{}
		for code, n := range s.HellosRefused {
			hellos[code] = n
		}
		for code, n := range s.AlertsReceived {
			alerts[code] = n
		}
		if len(hellos) != 2 || hellos[7] != 1 || hellos[codes-1] != 1 || len(alerts) != 1 || alerts[42] != 1 {
			t.Errorf("%s: hellos %v, alerts %v", name, hellos, alerts)
		}
	}
	seen := map[string]bool{}
	for e := range HandshakeEnds {
		if e.Label() == "" || seen[e.Label()] {
			t.Errorf("end %d has the label %q", e, e.Label())
		}
		seen[e.Label()] = true
	}
}

func TestPassages(t *testing.T) {
	d := NewDirectory()
	set := d.NewSet(2)
	a, b := set.Shard(0), set.Shard(1)
	for p := range passages {
		id := d.Assign(p.Kind(), "one")
		a.Began(p, id)
		b.Began(p, id)
		b.Began(p, id)
		b.Carried(p, id, 100, 7)
		a.Carried(p, id, 1, 0)
		a.Ended(p, id, None)
		b.Ended(p, id, TimeoutStream)
		b.RefusePassage(p, id, LimitStream)
	}
	dns := d.Assign(DatagramSeries, "one")
	a.Datagrams(dns, 3, 2)
	a.Drop(DropClient, 5)
	b.Drop(DropRate, 1)
	a.ProxyReceived(0, ProxyMissing)
	a.ProxyReceived(2, ProxyTaken)
	b.ProxyReceived(99, ProxyTaken)
	b.ProxySent(1)
	for name, s := range map[string]*Snapshot{"snapshot": set.Snapshot(), "sum": Sum(set.Shards())} {
		for p := range passages {
			if s.PassagesBegan(p) != 3 || s.PassagesOpen(p) != 1 || s.PassagesEnded(p, None) != 1 ||
				s.PassagesEnded(p, TimeoutStream) != 1 || s.PassagesBroken(p) != 1 {
				t.Errorf("%s: %v are miscounted", name, p)
			}
		}
		if n := s.Refused(LimitStream); n != 2 { // an upgrade is a request that failed
			t.Errorf("%s: %d refused", name, n)
		}
		if s.Dropped(DropClient) != 5 || s.Dropped(DropRate) != 1 || s.TotalDropped() != 6 {
			t.Errorf("%s: %d datagrams dropped", name, s.TotalDropped())
		}
		if s.ProxyReceived(0, ProxyMissing) != 1 || s.ProxyReceived(2, ProxyTaken) != 2 || s.ProxySent(1) != 1 {
			t.Errorf("%s: headers of the PROXY protocol are miscounted", name)
		}
	}
	for p := range passages {
		want := SeriesValues{Name: "one", Opened: 3, Open: 1, CarriedUp: 101, CarriedDown: 7, Refused: 1, Broken: 1}
		if p == Sessions {
			want.DatagramsUp, want.DatagramsDown = 3, 2
		}
		if got := set.Series(p.Kind()); len(got) != 1 || got[0] != want {
			t.Errorf("%v\n%+v, want\n%+v", p, got, want)
		}
	}
}

func TestStatusClass(t *testing.T) {
	for status, want := range map[int]Counter{
		0: RequestsUnanswered, 101: Requests1xx, 200: Requests2xx, 299: Requests2xx, 304: Requests3xx,
		404: Requests4xx, 599: Requests5xx, 600: RequestsUnanswered, 999: RequestsUnanswered, -1: RequestsUnanswered,
	} {
		if got := StatusClass(status); got != want {
			t.Errorf("StatusClass(%d) = %v, want %v", status, got, want)
		}
	}
}

func TestSnapshotAddsShardsUp(t *testing.T) {
	set := NewSet(2)
	a, b := set.Shard(0), set.Shard(1)
	for range 2 { // not in the sample
		a.Served(&Exchange{Status: 200, Duration: 5_000_000, FirstByte: 4_000_000, Own: -1})
	}
	a.Served(&Exchange{Status: 200, Duration: 5_000_000, FirstByte: 4_000_000, Own: 9_000})
	b.Served(&Exchange{Status: 502, Reason: TimeoutConnect, Duration: 1_000_000, FirstByte: -1, Own: 20_000})
	b.Error(NoRoute)
	a.Refuse(LimitConnsPerIP)
	a.Up(ConnsActive)
	a.Up(ConnsActive)
	b.Up(ConnsActive)
	b.Down(ConnsActive)
	b.Set(UpstreamConnsIdle, 7)
	a.Add(BytesToClients, 100)
	b.Add(BytesToClients, 11)

	s := set.Snapshot()
	check := func(what string, got, want uint64) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %d, want %d", what, got, want)
		}
	}
	check("requests", s.Requests(), 4)
	check("2xx", s.Counter(Requests2xx), 3)
	check("bytes", s.Counter(BytesToClients), 111)
	check("active", uint64(s.Gauge(ConnsActive)), 2)
	check("idle", uint64(s.Gauge(UpstreamConnsIdle)), 7)
	check("errors", s.Errors(TimeoutConnect), 1)
	check("no error", s.Errors(None), 0)
	check("refused", s.Refused(LimitConnsPerIP), 1)
	check("first bytes", s.Timing(FirstByteTime).Count, 3)
	check("durations", s.Timing(RequestDuration).Count, 4)
	check("own times", s.Timing(OwnTime).Count, 2)
	check("own mean", s.Timing(OwnTime).Mean(), (9_000+20_000)/2)
	check("all errors", s.TotalErrors(), 2)
	check("all refused", s.TotalRefused(), 1)
	if sum := Sum(set.Shards()); *sum != *s {
		t.Error("the sum of the shards is not their snapshot")
	}
	var of []uint64
	for _, one := range set.Shards() {
		of = append(of, one.Requests())
	}
	if len(of) != 2 || of[0] != 3 || of[1] != 1 {
		t.Errorf("requests by shard: %v", of)
	}
}

func TestSummary(t *testing.T) {
	set := NewSet(1)
	if got, want := set.Snapshot().String(), "served 0 requests"; got != want {
		t.Errorf("summary is %q, want %q", got, want)
	}
	s := set.Shard(0)
	s.Served(&Exchange{Status: 200, Duration: 1, FirstByte: 1, Own: 1, Reason: BadRequestHead})
	s.Error(UpstreamConnect)
	s.Error(UpstreamConnect)
	s.Refuse(LimitConns)
	s.Inc(LogDropped)
	want := "served 1 request, 3 errors (2 connection failed while connecting to upstream, " +
		"1 malformed request while reading request head), " +
		"refused 1 client (1 limit of connections while accepting connection), lost 1 log line"
	if got := set.Snapshot().String(); got != want {
		t.Errorf("summary is\n%q, want\n%q", got, want)
	}
	set = NewSet(1)
	s = set.Shard(0)
	for range 2 {
		s.Began(Streams, Other)
	}
	s.Ended(Streams, Other, None)
	s.Ended(Streams, Other, TimeoutStream)
	s.Began(Sessions, Other)
	s.Drop(DropClient, 3)
	want = "served 0 requests, passed on 2 streams, of them 1 failure (1 timeout while passing a stream on), " +
		"passed on 1 UDP session, dropped 3 datagrams"
	if got := set.Snapshot().String(); got != want {
		t.Errorf("summary is\n%q, want\n%q", got, want)
	}
}

// Readers must see whole values that only grow while the writer works; the race detector watches.
func TestReadWhileWriting(t *testing.T) {
	const n = 20_000
	set := NewSet(1)
	var wg sync.WaitGroup
	wg.Go(func() {
		s := set.Shard(0)
		for range n {
			s.Served(&Exchange{Status: 200, Reason: UpstreamHead, Duration: 1_000_000, FirstByte: 900_000, Own: 5_000})
			s.Up(ConnsActive)
		}
	})
	var last uint64
	for last < n {
		now := set.Snapshot().Requests()
		if now < last {
			t.Fatalf("counter went from %d to %d", last, now)
		}
		// The exchange that is being recorded may be missing there.
		if v := set.Series(ListenerSeries); len(v) == 1 && v[0].Total()+1 < last {
			t.Fatalf("series count %d after %d requests", v[0].Total(), last)
		}
		last = now
	}
	wg.Wait()
	if d := set.Snapshot().Timing(RequestDuration); d.Count != n || d.Sum != n*1_000_000 || d.Max != 1_000_000 {
		t.Errorf("%d values, sum %d, max %d", d.Count, d.Sum, d.Max)
	}
}

func TestShardsShareNoCacheLine(t *testing.T) {
	set := NewSet(2)
	end := uintptr(unsafe.Pointer(&set.shards[0].histograms)) + unsafe.Sizeof(set.shards[0].histograms)
	next := uintptr(unsafe.Pointer(&set.shards[1].counters))
	if next-end < cacheLine {
		t.Errorf("only %d bytes between two shards' data", next-end)
	}
}
