package proxy

import (
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

func TestAddressCounts(t *testing.T) {
	counts := newAddressCounts()
	v4 := netip.MustParseAddr("192.0.2.1").As16()
	a, b := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	for i := range 3 {
		if !counts.add(v4, false, 3) {
			t.Fatalf("connection %d refused", i+1)
		}
	}
	if counts.add(v4, false, 3) {
		t.Error("a fourth connection was allowed")
	}
	counts.remove(v4, false)
	if !counts.add(v4, false, 3) {
		t.Error("refused though one had left")
	}
	if !counts.add(a, true, 1) || counts.add(b, true, 1) {
		t.Error("addresses of one /64 are not counted together")
	}
}

// Shards count without a lock; what is added and removed again leaves nothing.
func TestAddressCountsFromManyShards(t *testing.T) {
	counts := newAddressCounts()
	var wg sync.WaitGroup
	for shard := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 4 & 3), byte(i * (shard + 1))}).As16()
				if counts.add(addr, false, 1000) {
					counts.remove(addr, false)
				}
			}
		})
	}
	wg.Wait()
	for i := range counts.words {
		if v := counts.words[i].Load(); v != 0 {
			t.Fatalf("word %d is left at %#x", i, v)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	g := newIDSource([4]uint64{1, 2, 3, 4})
	seen := map[[requestIDLen]byte]bool{}
	for range 100_000 {
		var id [requestIDLen]byte
		g.next(&id)
		if _, err := hex.DecodeString(string(id[:])); err != nil || seen[id] {
			t.Fatalf("id %q: %v, seen before: %v", id, err, seen[id])
		}
		seen[id] = true
	}
}

func TestHex8(t *testing.T) {
	for _, v := range []uint32{0, 9, 0x12345678, 0x9abcdef0, 0xffffffff} {
		var b [8]byte
		for i, x := 0, hex8(v); i < 8; i++ {
			b[i] = byte(x >> (8 * i))
		}
		var n uint32
		for i := range b {
			d, err := hex.DecodeString("0" + string(b[i:i+1]))
			if err != nil {
				t.Fatalf("%#x became %q", v, b)
			}
			n |= uint32(d[0]) << (4 * i)
		}
		if n != v {
			t.Errorf("%#x became %q, least digit first", v, b)
		}
	}
}

func TestHTTPDate(t *testing.T) {
	var d httpDate
	for _, at := range []time.Time{time.Unix(1, 0), time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)} {
		if got, want := string(d.append(nil, at.UnixNano())), at.UTC().Format(dateLayout); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// newBare is a worker that has nothing but some buffers.
func newBare(t *testing.T, small int) *Worker {
	t.Helper()
	arena, err := mem.NewArena(mem.Sizes{Small: small, Bulk: 1, Head: 1, BulkBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { arena.Close() })
	chunks, err := mem.NewSlab[chunk](8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chunks.Close() })
	return &Worker{mem: arena, chunks: chunks}
}

// A queue keeps its bytes in order through every way of putting them in and taking them out.
func TestQueue(t *testing.T) {
	w := newBare(t, 4)
	arena, chunks := w.mem, w.chunks
	var q, to queue
	put := func(n uint32) {
		buf, _ := arena.Take(mem.Small)
		w.push(&q, mem.Span{Off: arena.Data(buf).Off, Len: n}, buf)
	}
	put(100)
	put(50)
	span, buf := w.shift(&q)
	w.unshift(&q, span, buf)
	if !w.transfer(&to, &q, 120) || to.bytes != 120 || q.bytes != 30 {
		t.Fatalf("after the transfer %d and %d bytes", to.bytes, q.bytes)
	}
	w.consume(&to, 110)
	if to.bytes != 10 {
		t.Fatalf("%d bytes left", to.bytes)
	}
	w.discard(&to)
	w.discard(&q)
	if chunks.Used() != 0 || arena.InUse(mem.Small) != 0 || !q.empty() || !to.empty() {
		t.Fatalf("left behind: %d chunks, %d buffers", chunks.Used(), arena.InUse(mem.Small))
	}
}

// Where there are too few buffers for what came with the end of a handshake, nothing of it is lost or kept twice.
func TestTakeKeysWithoutBuffers(t *testing.T) {
	w, s := newBare(t, 3), &secure{}
	arena, chunks := w.mem, w.chunks
	buf, _ := arena.Take(mem.Small)
	w.push(&s.raw, mem.Span{Off: arena.Data(buf).Off, Len: 7}, buf)
	taken, _ := arena.Take(mem.Small)
	o := &handshake.Outcome{Left: make([]byte, mem.SmallBytes+1)}
	if w.takeKeys(s, o) {
		t.Error("two buffers were found where there is one")
	}
	if s.raw.bytes != 7 || arena.Free(mem.Small) != 1 || chunks.Used() != 1 || len(o.Left) != mem.SmallBytes+1 {
		t.Errorf("%d bytes, %d free buffers, %d chunks, %d bytes left over",
			s.raw.bytes, arena.Free(mem.Small), chunks.Used(), len(o.Left))
	}
	arena.Drop(taken)
	w.discard(&s.raw)
}
