package shard

import "time"

// clock is read once a turn; everything in the turn happens at the same time.
type clock struct {
	source func() int64 // nil: the time since start
	start  time.Time
	now    int64 // nanoseconds, never 0
	offset int64 // wall clock minus now
	synced int64 // when offset was last taken
}

func newClock(source func() int64) clock {
	c := clock{source: source, start: time.Now().Add(-1)}
	c.advance()
	return c
}

// resync is how often the wall clock is compared, so that log times follow its adjustments.
const resync = int64(time.Second)

func (c *clock) advance() {
	if c.source != nil {
		c.now = c.source()
	} else {
		c.now = int64(time.Since(c.start))
	}
	if c.offset == 0 || c.now-c.synced > resync {
		c.synced = c.now
		c.offset = time.Now().UnixNano() - c.now
	}
}
