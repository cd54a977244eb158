package shard

import (
	"sync"
	"testing"

	"github.com/uringproxy/uringproxy/plan"
)

func TestMailboxKeepsOrderPerSender(t *testing.T) {
	const senders, letters = 4, 1000
	var m mailbox
	var wg sync.WaitGroup
	next := make([]int, senders)
	for s := range senders {
		wg.Go(func() {
			for i := range letters {
				m.post(func() {
					if next[s] != i {
						t.Errorf("sender %d: letter %d came when %d was due", s, i, next[s])
					}
					next[s] = i + 1
				})
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	for running := true; running; {
		select {
		case <-finished:
			running = false
		default:
		}
		m.deliver()
	}
	for s, n := range next {
		if n != letters {
			t.Errorf("sender %d: %d of %d letters arrived", s, n, letters)
		}
	}
}

func TestPinsForgetWhatNobodyUses(t *testing.T) {
	var p pins
	a, b, c := &plan.Snapshot{Generation: 1}, &plan.Snapshot{Generation: 2}, &plan.Snapshot{Generation: 3}
	p.advance(a)
	pinA := p.pin()
	p.advance(b)
	p.advance(c)
	if p.entries[pinA].snap != a || p.held() != 2 {
		t.Fatalf("pinned %v, %d snapshots held, want the first and the current", p.entries[pinA].snap, p.held())
	}
	if p.oldest != 1 {
		t.Errorf("the oldest is of generation %d while the first is pinned", p.oldest)
	}
	p.unpin(pinA)
	if p.oldest != 3 {
		t.Errorf("the oldest is of generation %d when only the third is used", p.oldest)
	}
	if p.held() != 1 || p.current() != c {
		t.Fatalf("%d snapshots held after the last unpin", p.held())
	}
	for range 1000 {
		pin := p.pin()
		p.advance(&plan.Snapshot{})
		p.unpin(pin)
	}
	if len(p.entries) > 3 {
		t.Fatalf("%d entries after 1,000 changes", len(p.entries))
	}
}

func TestClock(t *testing.T) {
	now, step := int64(0), int64(7)
	s := &Shard{clock: newClock(func() int64 { now += step; return now })}
	if s.clock.cost != 7 {
		t.Errorf("a reading takes %d", s.clock.cost)
	}
	if s.SinceUpdate() != -1 {
		t.Error("a swap is measured that there was not")
	}
	began := s.Read()
	now += 100
	if took := s.Elapsed(began); took != 100 {
		t.Errorf("%d elapsed", took)
	}
	step = 0
	if took := s.Elapsed(s.Read()); took != 0 {
		t.Errorf("%d elapsed at once", took)
	}
	s.handedAt.Store(s.clock.read())
	now += 50
	if took := s.SinceUpdate(); took != 50 {
		t.Errorf("the update was %d ago", took)
	}
}
