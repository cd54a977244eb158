package shard

import "sync/atomic"

// mailbox carries functions from any goroutine to the shard's thread: a lock-free stack that the shard takes whole
// and reads from the oldest on.
type mailbox struct{ top atomic.Pointer[letter] }

type letter struct {
	below *letter
	f     func()
}

func (m *mailbox) post(f func()) {
	l := &letter{f: f}
	for {
		l.below = m.top.Load()
		if m.top.CompareAndSwap(l.below, l) {
			return
		}
	}
}

func (m *mailbox) deliver() {
	if m.top.Load() == nil { // the usual case costs one load, not an exchange
		return
	}
	var oldest *letter
	for l := m.top.Swap(nil); l != nil; {
		l.below, oldest, l = oldest, l, l.below
	}
	for l := oldest; l != nil; l = l.below {
		l.f()
	}
}
