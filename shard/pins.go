package shard

import (
	"github.com/uringproxy/uringproxy/internal/invariant"
	"github.com/uringproxy/uringproxy/plan"
)

// pins counts which snapshots are still in use. Exchanges name the one they started with by a small number, so that
// they themselves stay free of pointers; a snapshot that is neither current nor pinned is forgotten, and the collector
// takes it.
type pins struct {
	entries []pinned
	free    []uint32
	cur     uint32
	oldest  uint64 // the least generation of all entries in use
}

type pinned struct {
	snap *plan.Snapshot
	refs int
}

func (p *pins) current() *plan.Snapshot {
	if len(p.entries) == 0 {
		return nil
	}
	return p.entries[p.cur].snap
}

// advance makes next current. It may allocate: it runs once per configuration change.
func (p *pins) advance(next *plan.Snapshot) {
	old, was := p.current(), p.cur
	if n := len(p.free); n > 0 {
		p.cur = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		p.entries = append(p.entries, pinned{})
		p.cur = uint32(len(p.entries) - 1)
	}
	p.entries[p.cur] = pinned{snap: next}
	if old != nil {
		p.forget(was)
	}
	p.age()
}

// age finds the oldest entry in use anew.
func (p *pins) age() {
	p.oldest = p.entries[p.cur].snap.Generation
	for i := range p.entries {
		if snap := p.entries[i].snap; snap != nil {
			p.oldest = min(p.oldest, snap.Generation)
		}
	}
}

func (p *pins) pin() uint32 { return p.hold(p.cur) }

func (p *pins) hold(i uint32) uint32 {
	if invariant.Enabled && p.entries[i].snap == nil {
		invariant.Fail("snapshot %d held when it was forgotten", i)
	}
	p.entries[i].refs++
	return i
}

func (p *pins) unpin(i uint32) {
	e := &p.entries[i]
	if invariant.Enabled && e.refs <= 0 {
		invariant.Fail("snapshot %d unpinned more often than pinned", i)
	}
	e.refs--
	p.forget(i)
}

func (p *pins) forget(i uint32) {
	if e := &p.entries[i]; i != p.cur && e.refs == 0 && e.snap != nil {
		e.snap = nil
		p.free = append(p.free, i)
		p.age()
	}
}

// held is the number of snapshots still in use.
func (p *pins) held() int { return len(p.entries) - len(p.free) }
