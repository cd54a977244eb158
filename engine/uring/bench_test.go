package uring

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// BenchmarkPingPong bounces a message of 100 bytes over each of N socket pairs, both ends of which are in one
// ring. One iteration is one message: a send and a receive.
func BenchmarkPingPong(b *testing.B) {
	for _, kind := range []string{"unix", "tcp"} {
		for _, pairs := range []int{1, 16, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", kind, pairs), func(b *testing.B) { benchPingPong(b, kind, pairs, 64, 0) })
		}
	}
}

// BenchmarkPosted shows what the number of posted buffers costs in cache misses.
func BenchmarkPosted(b *testing.B) {
	for _, posted := range []int{16, 32, 64, 128, 256, 1024} {
		b.Run(fmt.Sprint(posted), func(b *testing.B) { benchPingPong(b, "tcp", 64, posted, 0) })
	}
}

// BenchmarkIdle shows what connections cost that wait for data and get none.
func BenchmarkIdle(b *testing.B) {
	for _, idle := range []int{0, 1000, 16000} {
		b.Run(fmt.Sprint(idle), func(b *testing.B) { benchPingPong(b, "tcp", 64, 64, idle) })
	}
}

func benchPingPong(b *testing.B, kind string, pairs, posted, idle int) {
	sizes := mem.Sizes{Small: 4096, Bulk: 8, Head: 1, BulkBytes: 65536}
	h := newHarness(b, Options{PostedSmall: posted}, sizes, 2*pairs+idle)
	for range idle / 2 {
		for _, fd := range unixPair(b) {
			h.b.Recv(h.attach(fd), engine.RecvStream)
		}
	}
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
	report := h.measure(b)
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
	report()
}

// measure starts the clock; the function that it returns stops it and reports what the shard's thread used
// for each iteration.
func (h *harness) measure(b *testing.B) func() {
	b.ReportAllocs()
	b.ResetTimer()
	calls, cpu := h.stats.Syscalls, threadTime(b)
	return func() {
		b.StopTimer()
		b.ReportMetric(float64(h.stats.Syscalls-calls)/float64(b.N), "syscalls/op")
		b.ReportMetric(float64(threadTime(b)-cpu)/float64(b.N), "cpu-ns/op")
	}
}

// threadTime is the processor time that this thread has used, in nanoseconds.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}

// BenchmarkRelay passes streams of bytes on, from one connection to another, each piece as it comes. One
// iteration is one MiB.
func BenchmarkRelay(b *testing.B) {
	for _, streams := range []int{1, 8} {
		for _, kib := range []int{64, 128, 256} {
			b.Run(fmt.Sprintf("%d/%dKiB", streams, kib), func(b *testing.B) {
				benchRelay(b, streams, kib<<10)
			})
		}
	}
}

func benchRelay(b *testing.B, streams, bulk int) {
	h := newHarness(b, Options{}, mem.Sizes{Small: 256, Bulk: 64, Head: 1, BulkBytes: bulk}, 2*streams)
	for range streams {
		from, to := tcpPair(b), tcpPair(b)
		go func() {
			chunk := make([]byte, 256<<10)
			for {
				if _, err := unix.Write(from[0], chunk); err != nil {
					unix.Close(from[0])
					return
				}
			}
		}()
		go func() {
			chunk := make([]byte, 256<<10)
			for {
				if n, err := unix.Read(to[0], chunk); err != nil || n == 0 {
					unix.Close(to[0])
					return
				}
			}
		}()
		h.b.Recv(h.attach(from[1]), engine.RecvBulk)
		h.attach(to[1])
	}
	held := make([]engine.Event, 2*streams)
	report := h.measure(b)
	for left := b.N << 20; left > 0; {
		for _, ev := range h.poll(-1) {
			switch ev.Kind {
			case engine.EvRecv:
				held[ev.Slot] = ev
				h.b.Send(h.conns.At(ev.Slot^1), []mem.Span{ev.Data()}, false)
			case engine.EvSent:
				left -= int(ev.Res)
				in := &held[ev.Slot^1]
				in.Off, in.Res = in.Off+uint32(ev.Res), in.Res-ev.Res
				if in.Res > 0 {
					h.b.Send(h.conns.At(ev.Slot), []mem.Span{in.Data()}, false)
					continue
				}
				h.mem.Drop(in.Buf)
				h.b.Recv(h.conns.At(ev.Slot^1), engine.RecvBulk)
			}
		}
	}
	report()
}
