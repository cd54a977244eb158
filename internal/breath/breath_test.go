package breath

import (
	"testing"
	"time"
)

func TestPausesAfterWork(t *testing.T) {
	clock, slept := time.Unix(0, 0), 0
	b := &Breath{now: func() time.Time { return clock }, sleep: func(d time.Duration) { slept++; clock = clock.Add(d) }}
	b.Draw()
	if slept != 1 {
		t.Fatal("no pause before the first step: what was computed before is not known")
	}
	for range 10 {
		clock = clock.Add(work / 4)
		b.Draw()
	}
	if slept != 3 {
		t.Errorf("%d pauses in two and a half lengths of work, expected two more than before", slept-1)
	}
	for i := range 512 {
		clock = clock.Add(work)
		b.Every(i)
	}
	if slept != 5 {
		t.Errorf("%d pauses in 512 steps, expected one in 256", slept-3)
	}
}

func TestNilNeverPauses(t *testing.T) {
	var b *Breath
	b.Draw()
	b.Every(0)
}
