package shard

import "time"

// clock is read once a turn; everything in the turn happens at the same time.
type clock struct {
	source func() int64 // nil: the time since start
	start  time.Time
	now    int64 // nanoseconds, never 0
	offset int64 // wall clock minus now
	synced int64 // when offset was last taken
	cost   int64 // of reading the clock
}

func newClock(source func() int64) clock {
	c := clock{source: source, start: time.Now().Add(-1)}
	c.advance()
	c.cost = c.calibrate()
	return c
}

// resync is how often the wall clock is compared, so that log times follow its adjustments.
const resync = int64(time.Second)

// read is the time, to be compared with now. Any goroutine may call it.
func (c *clock) read() int64 {
	if c.source != nil {
		return c.source()
	}
	return int64(time.Since(c.start))
}

// calibrate is how long reading the clock takes: the least of some attempts.
func (c *clock) calibrate() int64 {
	least := int64(time.Second)
	for range 32 {
		began := c.read()
		least = min(least, c.read()-began)
	}
	return least
}

func (c *clock) advance() {
	c.now = c.read()
	if c.offset == 0 || c.now-c.synced > resync {
		c.synced = c.now
		c.offset = time.Now().UnixNano() - c.now
	}
}
