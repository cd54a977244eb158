// Package breath lets long computations pause often, so that a thread which shares their core is not kept waiting.
//
// A lower priority does not do that. Linux gives a waking thread the core at once only while it has had less than its
// share; a shard that has just served a burst has had more, and then the computation runs on until the next tick of the
// kernel or until it sleeps, up to 4 ms, however nice it is. Sleeping is what computations can do about it.
//
// It imports the standard library only, and whoever computes on behalf of the control plane may import it.
package breath

import "time"

const (
	// work is how long a computation may go on: short against what clients notice, long against a switch of threads.
	work = 150 * time.Microsecond
	// rest is the pause. Whatever waits for the core gets it, so its length matters little.
	rest = 100 * time.Microsecond
)

// Breath is the rhythm of one computation. A nil Breath never pauses, which is right while nothing is being served yet.
// It must not be used by two goroutines at the same time.
type Breath struct {
	since time.Time
	now   func() time.Time // in tests
	sleep func(time.Duration)
}

// New makes a rhythm that begins with its first Draw.
func New() *Breath { return &Breath{now: time.Now, sleep: time.Sleep} }

// Draw pauses if it is time to. It is to be called between steps that take a few microseconds each.
func (b *Breath) Draw() {
	if b == nil || b.now().Sub(b.since) < work {
		return
	}
	b.sleep(rest)
	b.since = b.now()
}

// Every is Draw for the steps of a loop that are too short to ask at each: it does so at one of 256.
func (b *Breath) Every(step int) {
	if step&255 == 0 {
		b.Draw()
	}
}
