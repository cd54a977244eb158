package proxy

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

// assocTableOf is a table for n associations, which is closed at the end of the test.
func assocTableOf(t testing.TB, n int) *assocTable {
	t.Helper()
	table, err := newAssocTable(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.all.Close() })
	return &table
}

// keyOf is one of many keys, which differ in every part by turns.
func keyOf(n int) *assocKey {
	peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10}), 1000)
	k := &assocKey{peer: engine.MakeIPPort(peer), local: engine.MakeIPPort(netip.AddrPortFrom(peer.Addr(), 0))}
	low := uint32(n / 6)
	switch n % 6 {
	case 0:
		binary.BigEndian.PutUint32(k.peer.IP[12:], low+1)
	case 1:
		k.peer.Port += uint16(low) + 1
	case 2:
		binary.BigEndian.PutUint32(k.local.IP[12:], low+1)
	case 3:
		k.from += uint16(low) + 1
	case 4:
		k.peer.Zone = low + 1
	case 5:
		k.local.Zone = low + 1
	}
	return k
}

// fault says what is wrong with the table; empty: nothing.
func (t *assocTable) fault() string {
	seen, queued := map[uint32]bool{}, map[uint32]standing{}
	for b, i := range t.buckets {
		for ; i != 0; i = t.at(i).next {
			a := t.at(i)
			switch {
			case seen[i]:
				return "an association is twice in the chains"
			case a.hash>>t.shift != uint64(b) || t.hash(&a.key) != a.hash:
				return "an association is in a chain that is not its own"
			}
			seen[i] = true
		}
	}
	if len(seen) != t.all.Used() {
		return "the chains have not all associations"
	}
	for s := range t.queues {
		before := uint32(0)
		for i := t.queues[s].oldest; i != 0; i = t.at(i).newer {
			a := t.at(i)
			if a.older != before || a.standing != standing(s) || !seen[i] || queued[i] != 0 {
				return "a queue is broken"
			}
			before, queued[i] = i, a.standing
		}
		if t.queues[s].newest != before {
			return "a queue does not end with its newest"
		}
	}
	for i := range seen {
		if s := t.at(i).standing; queued[i] != s && t.queue(s) != nil {
			return "an association is missing in its queue"
		}
	}
	return ""
}

// A table does what a map does, however associations come and go and change their standing.
func TestAssocTableIsAMap(t *testing.T) {
	const most = 96
	rng := rand.New(rand.NewPCG(1, 1))
	table, model := assocTableOf(t, most), map[int]uint32{}
	var order [standingConversing][]int // of the model
	leave := func(n int) {
		for s := range order {
			for at, m := range order[s] {
				if m == n {
					order[s] = append(order[s][:at:at], order[s][at+1:]...)
					break
				}
			}
		}
	}
	for step := range 40_000 {
		n := rng.IntN(4 * most)
		k := keyOf(n)
		h := table.hash(k)
		i := table.find(k, h)
		if i != model[n] {
			t.Fatalf("step %d: association %d is %d, not %d", step, n, i, model[n])
		}
		switch {
		case i == 0:
			i = table.add(k, h)
			if full := len(model) == most; full != (i == 0) {
				t.Fatalf("step %d: %d among %d associations", step, i, len(model))
			}
			if i == 0 {
				break
			}
			model[n] = i
			table.stand(i, standingAwaiting)
			order[standingAwaiting] = append(order[standingAwaiting], n)
		case rng.IntN(3) == 0:
			table.remove(i)
			delete(model, n)
			leave(n)
		default:
			s := standing(1 + rng.IntN(int(standingConversing)))
			if table.at(i).standing == s {
				break
			}
			leave(n)
			table.stand(i, s)
			if s < standingConversing {
				order[s] = append(order[s], n)
			}
		}
		want := uint32(0)
		for _, s := range []standing{standingAwaiting, standingSettled} {
			if len(order[s]) > 0 {
				want = model[order[s][0]]
			}
		}
		if got := table.weakest(); got != want {
			t.Fatalf("step %d: the weakest is %d, not %d", step, got, want)
		}
		if step%101 == 0 {
			if fault := table.fault(); fault != "" {
				t.Fatalf("step %d: %s", step, fault)
			}
		}
	}
}

// Two tables have different hashes, and whatever differs in the addresses, chains stay short: who floods a table cannot
// know what collides in it.
func TestAssocTableSpreads(t *testing.T) {
	const n = 1 << 14
	a, b := assocTableOf(t, n), assocTableOf(t, n)
	same := 0
	for i := range 64 {
		if a.hash(keyOf(i))>>a.shift == b.hash(keyOf(i))>>b.shift {
			same++
		}
	}
	if same > 8 {
		t.Errorf("%d of 64 keys are in the same bucket of two tables", same)
	}
	// What an attacker would try: addresses and ports that step by powers of two.
	for step := range 14 {
		table := assocTableOf(t, n)
		for i := range n {
			k := keyOf(0)
			binary.BigEndian.PutUint32(k.peer.IP[12:], uint32(i)<<step)
			k.peer.Port = uint16(i >> 8 << step)
			h := table.hash(k)
			if table.find(k, h) == 0 && table.add(k, h) == 0 {
				t.Fatal("the table is full too early")
			}
		}
		longest := 0
		for _, i := range table.buckets {
			length := 0
			for ; i != 0; i = table.at(i).next {
				length++
			}
			longest = max(longest, length)
		}
		if longest > 16 {
			t.Errorf("step %d: a chain of %d associations", step, longest)
		}
	}
}

// A flood of newcomers to a full table pushes out those without a reply, and nobody who has had one.
func TestAssocTableUnderAFlood(t *testing.T) {
	const n = 256
	table := assocTableOf(t, n)
	for i := range n / 2 {
		k := keyOf(i)
		table.stand(table.add(k, table.hash(k)), standingConversing)
	}
	for i := n / 2; i < 20*n; i++ {
		k := keyOf(i)
		h := table.hash(k)
		f := table.add(k, h)
		if f == 0 {
			table.remove(table.weakest())
			f = table.add(k, h)
		}
		table.stand(f, standingAwaiting)
	}
	for i := range n / 2 {
		if k := keyOf(i); table.find(k, table.hash(k)) == 0 {
			t.Fatalf("association %d has been pushed out", i)
		}
	}
	if fault := table.fault(); fault != "" {
		t.Fatal(fault)
	}
}

func TestAssocTableAllocatesNothing(t *testing.T) {
	table := assocTableOf(t, 64)
	k := keyOf(7)
	if n := testing.AllocsPerRun(100, func() {
		h := table.hash(k)
		i := table.add(k, h)
		table.stand(i, standingAwaiting)
		table.remove(table.find(k, h))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAssocTable(b *testing.B) {
	table := assocTableOf(b, 1<<14)
	for i := range 1 << 14 {
		k := keyOf(i)
		table.add(k, table.hash(k))
	}
	k := keyOf(1234)
	b.ReportAllocs()
	for b.Loop() {
		if table.find(k, table.hash(k)) == 0 {
			b.Fatal("not found")
		}
	}
}
