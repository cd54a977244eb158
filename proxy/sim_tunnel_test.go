package proxy

import (
	"testing"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
)

// A thousand streams at a time arrive whole, with TLS or without on either side, whatever the sockets do and whoever
// ends first; or they are cut off, and both ends see that.
func TestSimThousandStreams(t *testing.T) {
	memory := mem.Sizes{Small: 8192, Bulk: 64, Head: 8, Record: 512, BulkBytes: 32 << 10}
	faults := sim.Faults{
		ShortRead: 0.2, ShortSend: 0.2, Delay: 0.3, NoBufs: 0.02, CancelData: 0.5, EndEarly: 0.2,
	}
	for seed, streams := range []int{fewer(1000), fewer(150), fewer(150)} {
		crowd := newSimCrowd(t, uint64(seed), faults, memory, 3*streams)
		breaks := func(calm ending) func() ending {
			return func() ending {
				if seed == 0 && crowd.dice.percent(25) {
					return endsByReset + ending(crowd.dice.n(2))
				}
				return calm
			}
		}
		near := breaks(endsAtOnce)
		switch seed {
		case 1:
			near = breaks(endsAfter)
		case 2:
			crowd.endings = breaks(endsAfter)
		default:
			crowd.endings = breaks(endsAtOnce)
		}
		for i := range streams {
			crowd.dial(i%len(kinds), near())
		}
		crowd.finish()
		crowd.stop()
	}
}

// finish has all streams come to their ends, and judges them.
func (crowd *simCrowd) finish() {
	t := crowd.t
	t.Helper()
	crowd.until("the end of all streams", func() bool {
		for _, e := range crowd.all {
			if !e.over() {
				return false
			}
		}
		return true
	})
	calm, carried := true, uint64(0)
	var ends []*streamEnd
	for _, e := range crowd.all {
		ends = append(ends, &e.streamEnd)
	}
	for _, e := range ends {
		if fault := e.verdict(ends); fault != "" {
			t.Errorf("end %d of kind %d, near %v: %s (%v, %d bytes in, %d left)", e.id, e.kind, e.near, fault, e.err,
				len(e.in), len(e.out))
		}
		calm = calm && e.ending < endsByReset
		carried += uint64(len(e.in))
	}
	crowd.until("the end of all tunnels", func() bool { return crowd.w.tunnels.Used() == 0 })
	series := crowd.metrics.Series(metrics.StreamSeries)[0]
	if calm && series.CarriedUp+series.CarriedDown != carried {
		t.Errorf("%d and %d bytes are counted, %d have arrived", series.CarriedUp, series.CarriedDown, carried)
	}
}
