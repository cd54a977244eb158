package uring

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// A stream that much has come for ends each time that streamBytes of it are there, where the kernel has such a limit,
// and never else. All of it comes either way.
func TestStreamLimit(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		for _, oldest := range []bool{false, true} {
			h := newHarness(t, Options{Tier: tier, oldest: oldest && tier == T1}, smallSizes, 8)
			p := unixPair(t)
			c := h.attach(p[1])
			sent := 0
			for chunk := make([]byte, 4096); ; {
				n, err := unix.Write(p[0], chunk)
				if err != nil {
					break
				}
				sent += n
			}
			if sent < 2*streamBytes {
				t.Fatalf("the socket takes %d bytes, which are too few", sent)
			}
			unix.Close(p[0])
			ends := 0
			for got, ended := 0, false; !ended; {
				if !c.RecvArmed() {
					h.b.Recv(c, engine.RecvStream)
				}
				for _, ev := range h.poll(1e9) {
					if ev.Res == 0 {
						ended = true
						break
					}
					got += len(h.text(ev))
					if ev.Flags&engine.FlagMore == 0 {
						ends++
						if got%streamBytes != 0 {
							t.Errorf("the stream ends after %d bytes", got)
						}
					}
				}
				if ended && got != sent {
					t.Errorf("%d bytes came of %d", got, sent)
				}
			}
			want := 0
			if h.b.streamMost > 0 {
				want = sent / streamBytes
			}
			if ends != want {
				t.Errorf("the stream ended %d times, want %d", ends, want)
			}
			h.close(c, false)
			h.checkIdle()
		}
	})
}
