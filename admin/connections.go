package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// limited accepts connections, of which most are open at a time. When there are so many, a new one takes the place of
// the one that has kept us waiting longest: for its request, or to read its answer. So those who come to say nothing
// cannot keep others out.
type limited struct {
	net.Listener
	most   int
	strict bool // a token is wanted

	mu    sync.Mutex
	open  map[*connection]struct{}
	order uint64 // counts the beginnings of waits
}

func limit(l net.Listener, most int, strict bool) *limited {
	return &limited{Listener: l, most: most, strict: strict, open: map[*connection]struct{}{}}
}

// connection is one of them.
type connection struct {
	net.Conn
	of      *limited
	waiting uint64      // the number of the wait that goes on; 0: we are at work for it. It belongs to of.mu
	hurried atomic.Bool // the token is wanted and was not shown yet
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := l.admit(c); admitted != nil {
			return admitted, nil
		}
	}
}

// admit gives c a place. When there is none, because we are at work for all others, it closes c and returns nil.
func (l *limited) admit(c net.Conn) *connection {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		slowest := l.slowest()
		if slowest == nil {
			_ = c.Close() // nothing was said
			return nil
		}
		delete(l.open, slowest)
		_ = slowest.Conn.Close() // the answer is lost, which is what this is for
	}
	l.order++
	admitted := &connection{Conn: c, of: l, waiting: l.order}
	admitted.hurried.Store(l.strict)
	l.open[admitted] = struct{}{}
	return admitted
}

// slowest is the connection that has kept us waiting longest; nil when none does.
func (l *limited) slowest() (slowest *connection) {
	for c := range l.open {
		if c.waiting > 0 && (slowest == nil || c.waiting < slowest.waiting) {
			slowest = c
		}
	}
	return slowest
}

// turn says whether we are at work for c from now on, or wait for it; changed: it was the other way round.
func (c *connection) turn(atWork bool) (changed bool) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if atWork == (c.waiting == 0) {
		return false
	}
	c.waiting = 0
	if !atWork {
		c.of.order++
		c.waiting = c.of.order
	}
	return true
}

// work says that the whole request is there, whatever time the answer takes.
func (c *connection) work() {
	c.turn(true)
	_ = c.Conn.SetReadDeadline(time.Time{}) // an error here is one of the answer too
}

// rest says that the answer is made.
func (c *connection) rest() { c.turn(false) }

// Write waits for those who do not read.
func (c *connection) Write(b []byte) (int, error) {
	if c.turn(false) {
		defer c.turn(true)
	}
	return c.Conn.Write(b)
}

// SetReadDeadline gives little time to who has not shown the token.
func (c *connection) SetReadDeadline(t time.Time) error {
	if c.hurried.Load() {
		if last := time.Now().Add(headTimeout); t.After(last) {
			t = last
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// trust says that the token was shown.
func (c *connection) trust() {
	if c.hurried.Swap(false) {
		_ = c.Conn.SetReadDeadline(time.Now().Add(readTimeout)) // for the body; an error is one of the body too
	}
}

// Close gives the place back.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

type connectionKey struct{}

// withConnection lets handlers find the connection of a request.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

func connectionOf(r *http.Request) *connection {
	return r.Context().Value(connectionKey{}).(*connection)
}

// turnstile lets as many requests pass at a time as it has room for.
type turnstile chan struct{}

// enter waits until r may pass, or whoever asked has left. Others may take its place meanwhile, see limited.
func (t turnstile) enter(r *http.Request) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	c := connectionOf(r)
	c.turn(false)
	defer c.turn(true)
	select {
	case t <- struct{}{}:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (t turnstile) leave() { <-t }
