package accesslog

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func newRings(t testing.TB, n int) *Rings {
	t.Helper()
	rs, err := NewRings(n, MinRing, JSON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rs.Close(); err != nil {
			t.Error(err)
		}
	})
	return rs
}

// take consumes all that is pending.
func take(r *Ring) string {
	first, second := r.Pending()
	s := string(first) + string(second)
	r.Consume(len(s))
	return s
}

func TestRingSizeIsChecked(t *testing.T) {
	for _, size := range []int{-1, 0, MinRing / 2, MinRing + 1} {
		if _, err := NewRings(1, size, JSON); err == nil || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("size %d: error %v", size, err)
		}
	}
}

// Lines come out whole wherever in them the ring ends.
func TestEveryWrapPosition(t *testing.T) {
	r := newRings(t, 1).Ring(0)
	rec := served()
	want := encode(JSON, rec)
	for before := range len(want) + 1 {
		at := uint64(len(r.buf) - before)
		r.head.Store(at)
		r.tail.Store(at)
		r.tailWas = at
		if !r.Append(&rec) || take(r) != want {
			t.Fatalf("a line that starts %d bytes before the end comes out wrong", before)
		}
	}
}

func TestFullRingDropsWholeLines(t *testing.T) {
	r := newRings(t, 1).Ring(0)
	rec := served()
	line := encode(JSON, rec)
	fit := len(r.buf) / len(line)
	for i := range fit {
		if !r.Append(&rec) {
			t.Fatalf("line %d of %d dropped", i, fit)
		}
	}
	for range 3 {
		if r.Append(&rec) {
			t.Fatal("a full ring took a line")
		}
	}
	if got := r.Dropped(); got != 3 {
		t.Errorf("%d drops counted, want 3", got)
	}
	if got := take(r); got != strings.Repeat(line, fit) {
		t.Error("what had been accepted was damaged by what was dropped")
	}
	if !r.Append(&rec) || take(r) != line {
		t.Error("an emptied ring must take lines again")
	}
}

func TestExactlyFullRing(t *testing.T) {
	r := newRings(t, 1).Ring(0)
	rec := served()
	line := encode(JSON, rec)
	at := uint64(len(r.buf) - len(line)) // pending bytes that leave room for just this line
	r.head.Store(at)
	if !r.Append(&rec) || r.Append(&rec) {
		t.Error("a line that fits exactly must enter, and nothing after it")
	}
	r.Consume(int(at))
	if got := take(r); got != line {
		t.Errorf("got %q", got)
	}
}

// A consumer at work beside the producer sees every accepted line once, whole and in order.
func TestConcurrentConsumer(t *testing.T) {
	const lines = 30_000
	rs := newRings(t, 1)
	r := rs.Ring(0)
	var wg sync.WaitGroup
	wg.Go(func() {
		rec := served()
		for i := 0; i < lines; {
			rec.Target = strconv.AppendInt(rec.Target[:0], int64(i), 10)
			if r.Append(&rec) {
				i++
			}
		}
	})
	var got []byte
	next := 0
	for next < lines {
		got = append(got, take(r)...)
		for {
			line, rest, whole := bytes.Cut(got, []byte("\n"))
			if !whole {
				break
			}
			if want := `"path":"` + strconv.Itoa(next) + `"`; !bytes.Contains(line, []byte(want)) {
				t.Fatalf("line %d is %q", next, line)
			}
			got, next = rest, next+1
		}
		if len(got) > 0 {
			t.Fatalf("part of a line became visible: %q", got)
		}
	}
	wg.Wait()
}

func TestBellRingsOnlyWhenWanted(t *testing.T) {
	rs := newRings(t, 2)
	r, rec := rs.Ring(1), served()
	called := func() bool { return rs.bell.state.Load() == awake }

	r.Append(&rec)
	if rs.Park() {
		t.Error("parked although a line waits")
	}
	take(r)
	if !rs.Park() || called() {
		t.Error("did not park on empty rings")
	}
	r.Append(&rec)
	if !called() {
		t.Error("a line did not wake the parked consumer")
	}
	if !rs.Nap() {
		t.Error("one line makes no crowd")
	}
	for !r.crowded() {
		if r.Append(&rec); called() != r.crowded() {
			t.Fatalf("called = %v with %d bytes pending", called(), r.used())
		}
	}
	if rs.Nap() {
		t.Error("naps although a ring is more than half full")
	}
	rs.Woken()
}

func TestAppendDoesNotAllocate(t *testing.T) {
	rs := newRings(t, 1)
	r, rec := rs.Ring(0), failed()
	rec.Target = []byte("/\u00e9\x00\"")
	n := testing.AllocsPerRun(100, func() {
		rs.Park()
		r.Append(&rec)
		r.Consume(int(r.used()))
	})
	if n != 0 {
		t.Errorf("%v allocations per line", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	r, rec := newRings(b, 1).Ring(0), served()
	b.ReportAllocs()
	for b.Loop() {
		r.Append(&rec)
		r.Consume(int(r.used()))
	}
}
