package load

import (
	"errors"
	"fmt"
	"time"
)

const (
	// atOnce is how many idle connections are opened at the same time.
	atOnce = 128
	// idlePatience is how long nothing may happen while they are.
	idlePatience = 10 * time.Second
)

// openIdle opens Config.Idle connections, each of which makes one request.
func (g *Generator) openIdle() error {
	idlers := g.conns[len(g.conns)-g.cfg.Idle:]
	last, lastAt := 0, g.now()
	for next := 0; g.resting < len(idlers); {
		for ; next < len(idlers) && next < g.resting+atOnce; next++ {
			g.open(&idlers[next])
		}
		if err := g.wait(longestWait); err != nil {
			return err
		}
		if g.resting > last {
			last, lastAt = g.resting, g.now()
		}
		switch {
		case g.gone > 0:
			return fmt.Errorf("open idle connection %d of %d: %s", g.resting+1, len(idlers), g.tally.Samples[0])
		case g.now()-lastAt > idlePatience:
			return fmt.Errorf("open idle connection %d of %d: no answer for %s", g.resting+1, len(idlers), idlePatience)
		}
	}
	return nil
}

var errNotKept = errors.New("the peer does not keep it open")

// rest is called when an idle connection has its answer, the right one or another.
func (g *Generator) rest(c *conn, right, closing bool) {
	c.state = resting
	g.resting++
	switch {
	case !right:
		g.leave(c)
	case closing:
		g.ended(c, errNotKept)
	}
}

// leave closes an idle connection for good.
func (g *Generator) leave(c *conn) {
	if c.state == resting {
		g.resting--
	}
	c.close()
	c.state = gone
	g.gone++
}
