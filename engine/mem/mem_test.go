package mem

import (
	"bytes"
	"testing"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

var sizes = Sizes{Small: 3, Bulk: 2, Head: 1, Record: 2, BulkBytes: 8192}

func arena(t testing.TB) *Arena {
	t.Helper()
	a, err := NewArena(sizes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// Every buffer has its room to itself: what is written into one, headroom and tailroom included, shows in no other.
func TestBuffersDoNotOverlap(t *testing.T) {
	a := arena(t)
	var all []Buf
	for c, n := range map[Class]int{Small: sizes.Small, Bulk: sizes.Bulk, Head: sizes.Head, Record: sizes.Record} {
		if a.Count(c) != n || a.Free(c) != n {
			t.Fatalf("class %d: %d buffers, %d free, want %d", c, a.Count(c), a.Free(c), n)
		}
		for range n {
			b, ok := a.Take(c)
			if !ok {
				t.Fatalf("class %d is spent too early", c)
			}
			all = append(all, b)
		}
		if _, ok := a.Take(c); ok {
			t.Fatalf("class %d has more buffers than it should", c)
		}
	}
	whole := func(b Buf) []byte {
		s := a.Data(b)
		if b.Class() == Small || b.Class() == Head {
			s.Off, s.Len = s.Off-Headroom, s.Len+Headroom
		}
		s.Len += Tailroom
		return a.Bytes(s)
	}
	for i, b := range all {
		copy(whole(b), bytes.Repeat([]byte{byte(i + 1)}, len(whole(b))))
	}
	for i, b := range all {
		if w := whole(b); bytes.Count(w, []byte{byte(i + 1)}) != len(w) {
			t.Errorf("buffer %d of class %d was overwritten", b.Index(), b.Class())
		}
		a.Drop(b)
	}
	for c := range classes {
		if a.InUse(c) != 0 {
			t.Errorf("class %d: %d buffers in use at the end", c, a.InUse(c))
		}
	}
}

func TestLastReferenceFrees(t *testing.T) {
	a := arena(t)
	b, _ := a.Take(Small)
	a.Hold(b)
	a.Drop(b)
	if a.InUse(Small) != 1 {
		t.Fatal("freed while a reference was left")
	}
	a.Drop(b)
	a.Drop(NoBuf)
	if a.InUse(Small) != 0 {
		t.Fatal("not freed with its last reference")
	}
	if again, _ := a.Take(Small); again != b {
		t.Error("the buffer used last is not the next one to be used")
	}
}

func TestDoubleDropIsFound(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("checked in builds with the tag invariant or the race detector")
	}
	a := arena(t)
	b, _ := a.Take(Small)
	a.Drop(b)
	defer func() {
		if recover() == nil {
			t.Error("a buffer was dropped twice and nobody noticed")
		}
	}()
	a.Drop(b)
}

func TestArenaBounds(t *testing.T) {
	for _, s := range []Sizes{{}, {Small: 1 << 20, Bulk: 1 << 20, BulkBytes: 1 << 20}} {
		if a, err := NewArena(s); err == nil {
			a.Close()
			t.Errorf("an arena of %d bytes was made", s.Bytes())
		}
	}
}

func TestSlab(t *testing.T) {
	s, err := NewSlab[[4]uint64](3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := map[uint32]bool{}
	for range 3 {
		i := s.Take()
		if i == 0 || seen[i] {
			t.Fatalf("entry %d handed out", i)
		}
		seen[i] = true
		s.At(i)[0] = uint64(i)
	}
	if s.Take() != 0 || s.Used() != 3 || s.Len() != 3 {
		t.Fatalf("%d of %d entries used after the last", s.Used(), s.Len())
	}
	s.Put(2)
	if i := s.Take(); i != 2 || s.At(i)[0] != 2 {
		t.Errorf("entry %d came back", i)
	}
}

func TestNoAllocation(t *testing.T) {
	a := arena(t)
	if n := testing.AllocsPerRun(100, func() {
		b, _ := a.Take(Small)
		a.Hold(b)
		a.Drop(b)
		a.Drop(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What is received leaves some of the Small buffers to everything else, and of the other classes none.
func TestTakeToReceive(t *testing.T) {
	a, err := NewArena(Sizes{Small: 3 * keptPart, Bulk: 2, Head: 1, Record: 1, BulkBytes: 8192, Pipes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	for c, left := range map[Class]int{Small: 3, Bulk: 0, Pipe: 0} {
		var all []Buf
		for b, ok := a.TakeToReceive(c); ok; b, ok = a.TakeToReceive(c) {
			all = append(all, b)
			if got := a.Receivable(c); got != a.Count(c)-left-len(all) {
				t.Errorf("class %d: %d can be received into with %d of %d taken", c, got, len(all), a.Count(c))
			}
		}
		if a.Free(c) != left {
			t.Errorf("class %d: %d are left, want %d", c, a.Free(c), left)
		}
		for range left {
			b, ok := a.Take(c)
			if !ok {
				t.Fatalf("class %d: what was left cannot be taken", c)
			}
			all = append(all, b)
		}
		for _, b := range all {
			a.Drop(b)
		}
	}
}
