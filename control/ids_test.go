package control

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// reporting is a data plane that adopts every snapshot at once and says so.
type reporting struct{ shard *metrics.Shard }

func (reporting) Prepare(*plan.Snapshot) error { return nil }

func (p reporting) Publish(s *plan.Snapshot) {
	p.shard.Set(metrics.OldestGeneration, int64(s.Generation))
}

// A name that has another address each time, ten thousand times, uses a handful of IDs. Shards have arrays by ID, so
// that an ID for ever would be memory for ever.
func TestNewAddressesTakeOldIDs(t *testing.T) {
	r, directory := newRig(t), metrics.NewDirectory()
	r.m = New(Options{
		Paths: []string{r.path}, Publisher: reporting{directory.NewSet(1).Shard(0)}, Resolver: r, Directory: directory,
		Log: slog.New(slog.DiscardHandler),
	})
	r.hosts["a.test"], r.hosts["b.test"] = "10.0.0.1", "10.0.0.2"
	last := r.start(named)
	most := uint32(0)
	for i := range 10_000 {
		r.hosts["a.test"] = fmt.Sprintf("10.1.%d.%d 10.2.%d.%d", i>>8, i&255, i>>8, i&255)
		r.m.Refresh(t.Context())
		now := r.m.Status().Snapshot
		if now == last {
			t.Fatal("nothing was published")
		}
		for _, e := range now.Services[0].Endpoints {
			most = max(most, e.ID)
			for _, old := range last.Services[0].Endpoints {
				if (e.ID == old.ID) != (e.Addr == old.Addr) {
					t.Fatalf("ID %d is %v's, and %d was %v's", e.ID, e.Addr, old.ID, old.Addr)
				}
			}
		}
		last = now
	}
	if n := len(r.m.ids.endpoints.ids); most > 10 || n > 10 {
		t.Errorf("the greatest ID is %d, and %d addresses are remembered", most, n)
	}
}

// TestSnapshotsInUseAgreeOnIDs: whatever comes, goes and comes back, however far shards are behind, and whether or not
// a snapshot could be installed, an ID has one owner in all the snapshots that somebody may still go by.
func TestSnapshotsInUseAgreeOnIDs(t *testing.T) {
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 1))
		n := numbering[int]{ids: map[int]uint32{}}
		inUse := []map[uint32]int{} // by generation - 1; nil: forgotten
		oldest := 0
		for range 2000 {
			snap := map[uint32]int{}
			n.round++
			for key := range 40 {
				if dice.IntN(3) > 0 {
					continue
				}
				id := n.identify(key)
				if other, taken := snap[id]; taken {
					t.Fatalf("seed %d: %d is the ID of %d and of %d", seed, id, key, other)
				}
				snap[id] = key
			}
			for id := range snap {
				n.keep(id)
			}
			n.settle(uint64(len(inUse)+1), uint64(oldest))
			if dice.IntN(4) == 0 {
				continue // could not be installed
			}
			for _, old := range inUse[max(0, oldest-1):] {
				for id, key := range old {
					if now, taken := snap[id]; taken && now != key {
						t.Fatalf("seed %d: %d, the ID of %d, was given to %d while it was in use", seed, id, key, now)
					}
				}
			}
			inUse = append(inUse, snap)
			if dice.IntN(3) == 0 {
				oldest += dice.IntN(len(inUse) - oldest + 1)
			}
		}
		if len(n.owners) > 40*10 {
			t.Errorf("seed %d: %d IDs for 40 keys", seed, len(n.owners))
		}
	}
}
