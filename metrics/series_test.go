package metrics

import (
	"fmt"
	"math"
	"testing"
	"time"
	"unsafe"
)

func TestSpansTileTheDurations(t *testing.T) {
	for i, bound := range SpanBounds {
		for v, want := range map[uint64]int{bound: i, bound - 1: i, bound + 1: i + 1} {
			if got := spanOf(int64(v)); got != want {
				t.Errorf("%d ns is in span %d, want %d", v, got, want)
			}
		}
	}
	for v, want := range map[int64]int{-1: 0, 0: 0, 1: 0, math.MaxInt64: len(SpanBounds)} {
		if got := spanOf(v); got != want {
			t.Errorf("%d ns is in span %d, want %d", v, got, want)
		}
	}
	for shift := range 63 {
		v := int64(1) << shift
		want := 0
		for want < len(SpanBounds) && uint64(v) > SpanBounds[want] {
			want++
		}
		if got := spanOf(v); got != want {
			t.Errorf("%d ns is in span %d, want %d", v, got, want)
		}
	}
}

func TestBlockSize(t *testing.T) {
	if n := unsafe.Sizeof(Block{}); n != 384 {
		t.Errorf("a block has %d bytes: it should fill lines of the cache", n)
	}
	if n := unsafe.Sizeof(Spans{}); n > 256 {
		t.Errorf("a coarse histogram has %d bytes", n)
	}
	if end := unsafe.Offsetof(Block{}.errors); end != 64 {
		t.Errorf("what every request writes ends at byte %d", end)
	}
	for k := range SeriesKinds {
		if seriesMax[k] > len(seriesTables{}[k])*blocks {
			t.Errorf("kind %d: there is no room for %d series", k, seriesMax[k])
		}
	}
}

func TestSeriesCount(t *testing.T) {
	d := NewDirectory()
	web := d.Assign(ListenerSeries, "web") // before there is a set
	set := d.NewSet(2)
	app, all := d.Assign(ServiceSeries, "app"), d.Assign(RouteSeries, "all")
	if app == Other || d.Assign(ServiceSeries, "app") != app {
		t.Fatal("a name has one series")
	}
	a, b := set.Shard(0), set.Shard(1)
	e := Exchange{
		Status: 200, Duration: 3000, FirstByte: -1, Received: 10, Sent: 20,
		Listener: web, Service: app, Route: all, Routed: true,
	}
	a.Served(&e)
	b.Served(&e)
	e.Status, e.Reason, e.Routed, e.Duration = 404, NoRoute, false, 70e9
	b.Served(&e)
	a.Of(ServiceSeries, app).Opened()
	a.Of(ServiceSeries, app).Pooled()
	b.Of(ServiceSeries, app).Opened()
	b.Of(ServiceSeries, app).Failed()
	b.Of(ServiceSeries, app).Retried()
	b.Of(ServiceSeries, app).Closed()

	want := SeriesValues{Name: "app", Received: 20, Sent: 40, Opened: 2, Failed: 1, Retried: 1, Open: 1, Idle: 1}
	want.Requests[2] = 2
	want.Duration.Sum, want.Duration.Counts[2] = 6000, 2
	if got := set.Series(ServiceSeries); len(got) != 1 || got[0] != want {
		t.Errorf("service\n%+v, want\n%+v", got, want)
	}
	want = SeriesValues{Name: "web", Received: 30, Sent: 60, Errors: 1}
	want.Requests[2], want.Requests[4] = 2, 1
	want.Duration.Sum, want.Duration.Counts[2], want.Duration.Counts[spans-1] = 6000+70e9, 2, 1
	if got := set.Series(ListenerSeries); len(got) != 1 || got[0] != want {
		t.Errorf("listener\n%+v, want\n%+v", got, want)
	}
	if got := set.Series(RouteSeries); len(got) != 1 || got[0].Total() != 2 {
		t.Errorf("route %+v", got)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	d := NewDirectory()
	set := d.NewSet(1)
	for k := range SeriesKinds {
		seen := map[Series]bool{}
		for i := range k.Capacity() {
			id := d.Assign(k, fmt.Sprint(i))
			if id == Other || seen[id] {
				t.Fatalf("kind %d: %d. series is %d", k, i, id)
			}
			seen[id] = true
		}
		if id := d.Assign(k, "one more"); id != Other {
			t.Errorf("kind %d: one more has series %d", k, id)
		}
		if n := len(set.Series(k)); n != k.Capacity() {
			t.Errorf("kind %d: %d series before Other is used", k, n)
		}
	}
	set.Shard(0).Served(&Exchange{Status: 200, Routed: true})
	set.Shard(0).Began(Streams, Other)
	set.Shard(0).Began(Sessions, Other)
	for k := range SeriesKinds {
		all := set.Series(k)
		if last := all[len(all)-1]; last.Name != OtherName || last.Total()+last.Opened != 1 {
			t.Errorf("kind %d: the last is %q with %d requests", k, last.Name, last.Total())
		}
	}
}

// A series goes to another name only when nothing can be counted for the old one any more, and begins at zero then.
func TestSeriesAreReused(t *testing.T) {
	d := NewDirectory()
	set := d.NewSet(2)
	now, generation := time.Unix(1e9, 0), uint64(0)
	settle := func(after time.Duration, names ...string) {
		now, generation = now.Add(after), generation+1
		d.Settle(ServiceSeries, generation, now, func(name string) bool {
			for _, n := range names {
				if n == name {
					return true
				}
			}
			return false
		})
	}
	adopt := func(shard int, oldest uint64) { set.Shard(shard).Set(OldestGeneration, int64(oldest)) }
	shown := func() (names string) {
		for _, v := range set.Series(ServiceSeries) {
			names += fmt.Sprint(v.Name, " ", v.Total(), " ")
		}
		return names
	}
	expect := func(want string) {
		t.Helper()
		if got := shown(); got != want {
			t.Fatalf("generation %d: series are %q, want %q", generation, got, want)
		}
	}
	a := d.Assign(ServiceSeries, "a")
	settle(0, "a")
	adopt(0, 1)
	adopt(1, 1)
	set.Shard(1).Served(&Exchange{Status: 200, Service: a, Routed: true})
	set.Shard(1).Of(ServiceSeries, a).Opened()
	settle(time.Hour) // without a
	expect("a 1 ")
	settle(Quarantine - 1)
	expect("a 1 ")
	settle(1) // one shard still uses the first snapshot
	adopt(0, 4)
	settle(time.Hour)
	expect("a 1 ")
	adopt(1, 4) // but a connection is open
	settle(time.Hour)
	expect("a 1 ")
	if d.Assign(ServiceSeries, "a") != a {
		t.Fatal("who comes back gets another series")
	}
	settle(time.Hour, "a")
	settle(time.Hour) // gone again: all begins anew
	adopt(0, 8)
	adopt(1, 8)
	set.Shard(1).Of(ServiceSeries, a).Closed()
	settle(Quarantine - 1)
	expect("a 1 ")
	settle(1)
	expect("")
	settle(time.Hour) // of a configuration in which nobody has the series: it does not begin for anybody
	if b := d.Assign(ServiceSeries, "b"); b != a {
		t.Fatalf("b has series %d, not the free one", b)
	}
	if v := set.Series(ServiceSeries)[0]; !v.Since.IsZero() {
		t.Errorf("b has been there since %v before a configuration has it", v.Since)
	}
	settle(time.Hour, "b")
	expect("b 0 ")
	since := now
	settle(time.Hour, "b")
	set.Shard(0).Served(&Exchange{Status: 502, Service: a, Routed: true})
	expect("b 1 ")
	if v := set.Series(ServiceSeries)[0]; v.Requests[2] != 0 || v.Opened != 0 || !v.Since.Equal(since) {
		t.Errorf("%+v", v)
	}
}
