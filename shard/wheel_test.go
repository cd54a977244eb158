package shard

import (
	"math/rand/v2"
	"testing"
)

// The wheel is compared with the plainest possible thing: a list of deadlines.
func TestWheelAgainstList(t *testing.T) {
	const slots = 200
	rng := rand.New(rand.NewPCG(1, 2))
	w := NewWheel(slots)
	want := make([]int64, slots)
	due := make([]int64, slots) // the tick by which it must have fired: never the current one
	now := int64(1)
	for step := range 20000 {
		for range rng.IntN(4) {
			slot := uint32(rng.IntN(slots))
			var d int64
			switch rng.IntN(4) {
			case 0: // cleared
			case 1:
				d = now + rng.Int64N(1e9)
			case 2:
				d = now + rng.Int64N(200e9)
			case 3:
				d = max(1, now-rng.Int64N(1e9))
			}
			w.Set(slot, d)
			want[slot] = d
			due[slot] = max(d>>tickShift, now>>tickShift) + 1
		}
		if next := w.Next(); next >= 0 {
			for slot, d := range want {
				if d != 0 && d>>tickShift+1 < next>>tickShift && d > now {
					t.Fatalf("step %d: slot %d expires at %d, but Next says %d", step, slot, d, next)
				}
			}
		}
		now += rng.Int64N(100e6)
		if rng.IntN(500) == 0 {
			now += 90e9
		}
		fired := map[uint32]bool{}
		w.Advance(now, func(slot uint32) {
			if want[slot] == 0 || want[slot] > now {
				t.Fatalf("step %d: slot %d fired at %d, its deadline is %d", step, slot, now, want[slot])
			}
			fired[slot] = true
			want[slot] = 0
		})
		for slot, d := range want {
			if d != 0 && due[slot] <= now>>tickShift && !fired[uint32(slot)] {
				t.Fatalf("step %d: slot %d with deadline %d did not fire by %d", step, slot, d, now)
			}
		}
	}
}

func TestWheelRenewalCostsNothing(t *testing.T) {
	w := NewWheel(8)
	now := int64(1)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1e6
		w.Set(3, now+75e9)
		w.Advance(now, func(uint32) {})
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkWheelSet(b *testing.B) {
	w := NewWheel(1024)
	for i := range b.N {
		w.Set(uint32(i)&1023, int64(i)+75e9)
	}
}
