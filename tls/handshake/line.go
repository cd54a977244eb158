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

// bucket is the queue of the peers that hash to it.
type bucket struct {
	queue
	weight int     // of all in it
	next   *bucket // with somebody in it, in the order of turns
}

// line is where conversations wait for a place: stochastic fairness queueing (RFC 8290, section 1.3, has the
// family's history). Queues that are not empty take turns, so that a peer's wait depends on how many others there
// are, and not on how much they ask for. What somebody who waits holds in memory counts: see weight.
type line struct {
	len     int
	weight  int // of all in it
	most    int // weight
	buckets [lineBuckets]bucket
	turn    *bucket // whose turn is next: the first of the ring of those that are not empty
	last    *bucket // and the last
	seed    maphash.Seed
}

// weight is how many places c takes in a line: one, and more for a hello that is longer than they are.
func (c *Conversation) weight() int { return max(1, (len(c.hello)+keptHello-1)/keptHello) }

// of is the bucket of a client. Whoever has an IPv6 address has a whole network of them, of 64 bits.
func (l *line) of(from netip.Addr) *bucket {
	b := from.As16()
	key := b[:]
	if from.Is6() && !from.Is4In6() {
		key = b[:8]
	}
	return &l.buckets[maphash.Bytes(l.seed, key)%lineBuckets]
}

// to is the bucket of a server.
func (l *line) to(client *Client) *bucket {
	return &l.buckets[maphash.Comparable(l.seed, client)%lineBuckets]
}

// fits reports whether there is room for c. Whoever is alone fits in a line with any place.
func (l *line) fits(c *Conversation) bool {
	return l.weight+c.weight() <= l.most || l.len == 0 && l.most > 0
}

// payer is who leaves a full line for c, which wants to wait in b: the last of the heaviest queue. Nil: b would be that
// one, so it is c.
func (l *line) payer(c *Conversation, b *bucket) *Conversation {
	var heaviest *bucket
	for b := l.turn; b != nil; b = b.next {
		if heaviest == nil || b.weight > heaviest.weight {
			heaviest = b
		}
	}
	if heaviest == nil || heaviest.weight < b.weight+c.weight() {
		return nil
	}
	return heaviest.last
}

// add puts c, which fits, at the end of b.
func (l *line) add(c *Conversation, b *bucket) {
	if b.len == 0 {
		l.join(b)
	}
	c.bucket = b
	b.push(c)
	l.len++
	b.weight, l.weight = b.weight+c.weight(), l.weight+c.weight()
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
	b.weight, l.weight = b.weight-c.weight(), l.weight-c.weight()
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
