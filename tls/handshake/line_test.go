package handshake

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// queueOf is a line's order of turns, of conversations by their numbers.
func queueOf(l *line) string {
	var order []string
	for c := l.take(); c != nil; c = l.take() {
		order = append(order, fmt.Sprint(c.id))
	}
	return strings.Join(order, " ")
}

// enter is what a port does with who comes to a line.
func enter(l *line, c *Conversation, b *bucket) (shed []*Conversation, ok bool) {
	for !l.fits(c) {
		payer := l.payer(c, b)
		if payer == nil {
			return shed, false
		}
		l.remove(payer)
		shed = append(shed, payer)
	}
	l.add(c, b)
	return shed, true
}

func TestLineTakesTurns(t *testing.T) {
	l := &line{most: 100}
	add := func(b *bucket, ids ...uint64) {
		for _, id := range ids {
			if shed, ok := enter(l, &Conversation{id: id}, b); shed != nil || !ok {
				t.Fatalf("%d is shed", id)
			}
		}
	}
	a, b, c := &l.buckets[1], &l.buckets[2], &l.buckets[3]
	add(a, 10, 11, 12, 13)
	add(b, 20)
	add(c, 30, 31)
	if got := queueOf(l); got != "10 20 30 11 31 12 13" {
		t.Errorf("order %s", got)
	}
}

// TestLineSheds fills a line from one address: it is the one that pays, and others get in.
func TestLineSheds(t *testing.T) {
	l := &line{most: 4}
	for id := range uint64(4) {
		enter(l, &Conversation{id: id}, &l.buckets[1])
	}
	if _, ok := enter(l, &Conversation{id: 9}, &l.buckets[1]); ok {
		t.Error("the longest queue becomes longer")
	}
	shed, ok := enter(l, &Conversation{id: 20}, &l.buckets[2])
	if !ok || len(shed) != 1 || shed[0].id != 3 {
		t.Errorf("shed %v, %v", shed, ok)
	}
	if shed, ok := enter(l, &Conversation{id: 1000}, &l.buckets[3]); !ok || len(shed) != 1 || shed[0].id != 2 {
		t.Errorf("shed %v, %v", shed, ok)
	}
	if got := queueOf(l); got != "0 20 1000 1" {
		t.Errorf("order %s", got)
	}
	none := &line{}
	if _, ok := enter(none, &Conversation{}, &none.buckets[0]); ok {
		t.Error("a line without places takes somebody")
	}
}

// TestLineWeighs has who sends long hellos pay for them.
func TestLineWeighs(t *testing.T) {
	l := &line{most: 8}
	long := func(id uint64) *Conversation { return &Conversation{id: id, hello: make([]byte, 3*keptHello)} }
	enter(l, long(1), &l.buckets[1])
	enter(l, long(2), &l.buckets[1])
	enter(l, &Conversation{id: 10}, &l.buckets[2])
	if l.weight != 7 {
		t.Fatalf("weight %d", l.weight)
	}
	if _, ok := enter(l, long(3), &l.buckets[1]); ok {
		t.Error("the heaviest queue becomes heavier")
	}
	if shed, ok := enter(l, long(30), &l.buckets[3]); !ok || len(shed) != 1 || shed[0].id != 2 || l.weight != 7 {
		t.Errorf("shed %v, %v, weight %d", shed, ok, l.weight)
	}
	alone := &line{most: 1}
	if _, ok := enter(alone, long(1), &alone.buckets[1]); !ok {
		t.Error("a long hello never fits, not even alone")
	}
}

// TestLineAgainstModel compares random use with lists.
func TestLineAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := &line{most: 50}
	waiting := map[*Conversation]int{}
	perBucket := map[int]int{}
	forget := func(c *Conversation) {
		if _, ok := waiting[c]; !ok || c.bucket != nil {
			t.Fatal("somebody leaves who is not there")
		}
		perBucket[waiting[c]]--
		delete(waiting, c)
	}
	for id := range uint64(20_000) {
		switch n := rng.IntN(8); {
		case n < 4:
			c, b := &Conversation{id: id, hello: make([]byte, rng.IntN(4*keptHello))}, rng.IntN(6)
			shed, ok := enter(l, c, &l.buckets[b])
			if ok {
				waiting[c] = b
				perBucket[b]++
			}
			for _, c := range shed {
				forget(c)
			}
		case n < 7:
			if c := l.take(); c != nil {
				forget(c)
			} else if len(waiting) > 0 {
				t.Fatal("nobody is next, and some wait")
			}
		default:
			for c := range waiting {
				l.remove(c)
				forget(c)
				break
			}
		}
		turns := 0
		for b := l.turn; b != nil; b = b.next {
			turns++
			if b.len == 0 || b.next == nil && b != l.last {
				t.Fatal("the turns are in disorder")
			}
		}
		busy := 0
		for b, n := range perBucket {
			if l.buckets[b].len != n {
				t.Fatalf("bucket %d has %d, want %d", b, l.buckets[b].len, n)
			}
			busy += min(n, 1)
		}
		weight := 0
		for c := range waiting {
			weight += c.weight()
		}
		if l.weight != weight || weight > l.most {
			t.Fatalf("weight %d, want %d, and %d at most", l.weight, weight, l.most)
		}
		if l.len != len(waiting) || turns != busy || (l.turn == nil) != (l.last == nil) {
			t.Fatalf("%d in line and %d turns, want %d and %d", l.len, turns, len(waiting), busy)
		}
	}
}

func TestBucketsByNetwork(t *testing.T) {
	b := newBench(t, PoolOptions{})
	of := func(a string) *bucket { return b.port.clients.line.of(netip.MustParseAddr(a)) }
	if of("2001:db8::1") != of("2001:db8::ffff:1") || of("::ffff:192.0.2.1") != of("192.0.2.1") {
		t.Error("one client has two buckets")
	}
	seen := map[*bucket]bool{}
	for i := range 1000 {
		seen[of(fmt.Sprintf("192.0.%d.%d", i/250, i%250))] = true
		seen[of(fmt.Sprintf("2001:db8:0:%x::1", i))] = true
	}
	if len(seen) < 200 {
		t.Errorf("2000 clients have %d buckets", len(seen))
	}
	if n := testing.AllocsPerRun(100, func() { b.port.clients.line.of(theAddr) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
