package sim_test

import (
	"fmt"
	"testing"

	"github.com/uringproxy/uringproxy/engine/enginetest"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

func TestSuite(t *testing.T) {
	t.Run("faultless", func(t *testing.T) {
		enginetest.Run(t, enginetest.Virtual(1, sim.Faults{}))
	})
	seeds := uint64(5)
	if invariant.Enabled {
		seeds = 2 // each takes many times as long then, above all under the race detector
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("late and short/", seed), func(t *testing.T) {
			enginetest.Run(t, enginetest.Virtual(seed, lateAndShort))
		})
		t.Run(fmt.Sprint("hostile/", seed), func(t *testing.T) {
			enginetest.Run(t, enginetest.Virtual(seed, hostile))
		})
	}
}

var lateAndShort = sim.Faults{Delay: 0.3, ShortSend: 0.3, CancelData: 0.5, Gather: 0.3}

var hostile = sim.Faults{
	ShortRead: 0.3, ShortSend: 0.3, Delay: 0.3, NoBufs: 0.1, CancelData: 0.5, EndEarly: 0.2,
	Reset: 0.002, Refuse: 0.1, NoFiles: 0.1,
	Lose: 0.05, Duplicate: 0.05, Late: 0.2, Full: 0.02, Gather: 0.3,
}
