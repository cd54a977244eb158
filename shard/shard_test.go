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
	p.unpin(pinA)
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
