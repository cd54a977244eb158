package control

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/uringproxy/uringproxy/plan"
)

// shardOf holds a snapshot as a shard does: the current one only.
type shardOf struct {
	current *plan.Snapshot
	past    []weak.Pointer[plan.Snapshot]
}

func (*shardOf) Prepare(*plan.Snapshot) error { return nil }

func (p *shardOf) Publish(s *plan.Snapshot) {
	if p.current != nil {
		p.past = append(p.past, weak.Make(p.current))
	}
	p.current = s
}

// Of the configuration of the start only what cannot change stays, not its routes and texts.
func TestTheFirstConfigurationGoes(t *testing.T) {
	r := newRig(t)
	r.write(base)
	cfg, snap, err := r.m.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, route, first := weak.Make(cfg), weak.Make(cfg.Routes[0]), weak.Make(snap)
	cfg, snap = nil, nil
	r.reload(strings.Replace(base, "api.test", "other.test", 1))
	runtime.GC()
	if config.Value() != nil || route.Value() != nil || first.Value() != nil {
		t.Error("something still holds it")
	}
	runtime.KeepAlive(r)
}

// Ten thousand reloads leave nothing behind: every snapshot is collected, and the heap is what it was after a hundred.
func TestReloadsDoNotAddUp(t *testing.T) {
	r, shard := newRig(t), &shardOf{}
	r.m.opts.Publisher, r.m.opts.Ended = shard, nil
	r.m.opts.Log = slog.New(slog.DiscardHandler)
	r.start(base)
	after := func(from, to int) (heap uint64) {
		for i := from; i < to; i++ {
			route := fmt.Sprintf("[routes.extra%d]\nhost = \"h%d.test\"\nservice = \"app\"\n", i%7, i)
			r.write(strings.Replace(base, "10.0.0.2", fmt.Sprint("10.0.0.", 2+i%5), 1) + route)
			if a := r.m.Reload(t.Context(), BySignal); a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	most := 10_000
	if testing.Short() {
		most = 1500
	}
	before := after(0, 100)
	now := after(100, most)
	left := 0
	for _, p := range shard.past {
		if p.Value() != nil {
			left++
		}
	}
	grown := int64(now) - int64(before) - int64(8*cap(shard.past))
	t.Logf("heap after 100 reloads: %d KiB, after %d: %d KiB more", before>>10, most, grown>>10)
	if left > 1 || grown > 512<<10 {
		t.Errorf("%d old snapshots are still there, %d bytes more", left, grown)
	}
	runtime.KeepAlive(r)
}
