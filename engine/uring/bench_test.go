package uring

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// BenchmarkPingPong bounces a message of 100 bytes over each of N socket pairs, both ends of which are in one
// ring. One iteration is one message: a send and a receive.
func BenchmarkPingPong(b *testing.B) {
	for _, kind := range []string{"unix", "tcp"} {
		for _, pairs := range []int{1, 16, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", kind, pairs), func(b *testing.B) { benchPingPong(b, kind, pairs, 64) })
		}
	}
}

// BenchmarkPosted shows what the number of posted buffers costs in cache misses.
func BenchmarkPosted(b *testing.B) {
	for _, posted := range []int{16, 32, 64, 128, 256, 1024} {
		b.Run(fmt.Sprint(posted), func(b *testing.B) { benchPingPong(b, "tcp", 64, posted) })
	}
}

func benchPingPong(b *testing.B, kind string, pairs, posted int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h := newHarness(b, Options{PostedSmall: posted}, mem.Sizes{Small: 4096, Bulk: 8, Head: 1, BulkBytes: 65536}, 2*pairs)
	for range pairs {
		var fds [2]int
		if kind == "unix" {
			fds = unixPair(b)
		} else {
			fds = tcpPair(b)
		}
		for i, fd := range fds {
			c := h.attach(fd)
			h.b.Recv(c, engine.RecvStream)
			if i == 0 {
				buf, _ := h.mem.Take(mem.Small)
				h.b.Send(c, []mem.Span{{Off: h.mem.Data(buf).Off, Len: 100}}, false)
				c.Priv[privNext] = uint32(buf) // the slot is on no list while it is in use
			}
		}
	}
	var spans [1]mem.Span
	b.ReportAllocs()
	b.ResetTimer()
	calls := h.stats.Syscalls
	for done := 0; done < b.N; {
		n, err := h.b.Poll(-1, h.out[:])
		if err != nil {
			b.Fatal(err)
		}
		for i := range h.out[:n] {
			ev := &h.out[i]
			c := h.conns.At(ev.Slot)
			switch ev.Kind {
			case engine.EvRecv:
				done++
				if ev.Res != 100 {
					b.Fatalf("received %d", ev.Res)
				}
				spans[0] = ev.Data()
				h.b.Send(c, spans[:], false)
				c.Priv[privNext] = uint32(ev.Buf)
			case engine.EvSent:
				h.mem.Drop(mem.Buf(c.Priv[privNext]))
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(h.stats.Syscalls-calls)/float64(b.N), "syscalls/op")
}
