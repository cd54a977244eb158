package handshake

import (
	"hash/maphash"
	"net/netip"
)

// lineBuckets is how many queues a line has. Clients that share one by chance share its turns.
const lineBuckets = 256

// queue is a list of conversations, each of which is in one list at most.
type queue struct {
	first, last *Conversation
	len         int
}

func (q *queue) push(c *Conversation) {
	c.before, c.behind = q.last, nil
	if q.last == nil {
		q.first = c
	} else {
		q.last.behind = c
	}
	q.last = c
	q.len++
}

func (q *queue) remove(c *Conversation) {
	if c.before == nil {
		q.first = c.behind
	} else {
		c.before.behind = c.behind
	}
	if c.behind == nil {
		q.last = c.before
	} else {
		c.behind.before = c.before
	}
	c.before, c.behind = nil, nil
	q.len--
}

// bucket is the queue of the clients whose addresses hash to it.
type bucket struct {
	queue
	next *bucket // with somebody in it, in the order of turns
}

// line is where conversations wait for a goroutine: stochastic fairness queueing (RFC 8290, section 1.3, has the
// family's history). Queues that are not empty take turns, so that a client's wait depends on how many others there
// are, and not on how much they ask for.
type line struct {
	len     int
	most    int
	buckets [lineBuckets]bucket
	turn    *bucket // whose turn is next: the first of the ring of those that are not empty
	last    *bucket // and the last
	seed    maphash.Seed
}

// of is the bucket of a client. Whoever has an IPv6 address has a whole network of them, of 64 bits.
func (l *line) of(from netip.Addr) *bucket {
	b := from.As16()
	key := b[:]
	if from.Is6() && !from.Is4In6() {
		key = b[:8]
	}
	return &l.buckets[maphash.Bytes(l.seed, key)%lineBuckets]
}

// add puts c at the end of b. When the line is full, the longest queue pays: its last one is shed, and if that queue is
// b, it is c: ok is false then.
func (l *line) add(c *Conversation, b *bucket) (shed *Conversation, ok bool) {
	if l.len >= l.most {
		longest := l.longest()
		if longest == nil || longest.len <= b.len {
			return nil, false
		}
		shed = longest.last
		l.remove(shed)
	}
	if b.len == 0 {
		l.join(b)
	}
	c.bucket = b
	b.push(c)
	l.len++
	return shed, true
}

// longest is the longest queue of clients. It is asked for only when the line is full.
func (l *line) longest() *bucket {
	var longest *bucket
	for b := l.turn; b != nil; b = b.next {
		if longest == nil || b.len > longest.len {
			longest = b
		}
	}
	return longest
}

// take is who is next; nil: nobody waits.
func (l *line) take() *Conversation {
	b := l.turn
	if b == nil {
		return nil
	}
	c := b.first
	l.remove(c)
	if b.len > 0 && b.next != nil { // to the end: it has had its turn
		l.turn, b.next = b.next, nil
		l.last.next = b
		l.last = b
	}
	return c
}

// remove takes c out of the line.
func (l *line) remove(c *Conversation) {
	b := c.bucket
	c.bucket = nil
	b.remove(c)
	l.len--
	if b.len == 0 {
		l.leave(b)
	}
}

// join lets a queue that was empty take turns.
func (l *line) join(b *bucket) {
	if l.last == nil {
		l.turn = b
	} else {
		l.last.next = b
	}
	l.last = b
}

// leave takes a queue that has become empty out of the turns. It is the first of them, unless somebody left the line.
func (l *line) leave(b *bucket) {
	var before *bucket
	at := l.turn
	for at != b {
		before, at = at, at.next
	}
	if before == nil {
		l.turn = b.next
	} else {
		before.next = b.next
	}
	if l.last == b {
		l.last = before
	}
	b.next = nil
}
