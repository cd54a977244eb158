package udp

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// BenchmarkRelay passes datagrams on, from one socket to another, and counts the processor time of that alone. They
// come as the sender's kernel has them: one by one, or together where the sender has asked for that. "gathered" uses
// UDP_GRO and UDP_SEGMENT, "single" does not. One iteration is one datagram.
func BenchmarkRelay(b *testing.B) {
	for _, size := range []int{100, 1200} {
		for _, burst := range []int{1, 4, 40} {
			for _, sender := range []string{"single", "together"} {
				for _, way := range []string{"single", "gathered"} {
					if burst == 1 && sender == "together" {
						continue
					}
					b.Run(fmt.Sprintf("%dx%d/sent %s/%s", burst, size, sender, way), func(b *testing.B) {
						benchRelay(b, size, burst, sender == "together", way == "gathered")
					})
				}
			}
		}
	}
}

func benchRelay(b *testing.B, size, burst int, together, gathered bool) {
	r := newRig(b)
	in, out := r.bound(loopback4), r.connected(r.sink)
	if !gathered {
		if err := unix.SetsockoptInt(int(in.fd), unix.SOL_UDP, unix.UDP_GRO, 0); err != nil {
			b.Fatal(err)
		}
		out.s |= bitWhole
	}
	data := make([]byte, size*burst)
	if together {
		if err := unix.SetsockoptInt(r.peer, unix.SOL_UDP, unix.UDP_SEGMENT, size); err != nil {
			b.Fatal(err)
		}
	}
	entries := make([]engine.Datagram, engine.DatagramsMax)
	spent := int64(0)
	calls := r.Syscalls
	for done := 0; done < b.N; done += burst {
		if together {
			r.throw(data, in.at)
		} else {
			for i := range burst {
				r.throw(data[i*size:(i+1)*size], in.at)
			}
		}
		start := threadTime(b)
		for left := burst; left > 0; {
			n := r.Receive(in.fd, &in.s, entries)
			if n <= 0 {
				b.Fatalf("Receive = %d", n)
			}
			if k := r.Send(out.fd, &out.s, entries[:n]); k != n {
				b.Fatalf("Send = %d of %d", k, n)
			}
			for i := range entries[:n] {
				left -= entries[i].Count()
				r.arena.Drop(entries[i].Buf)
			}
		}
		spent += threadTime(b) - start
	}
	b.ReportMetric(float64(spent)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(r.Syscalls-calls)/float64(b.N), "syscalls/op")
}

// threadTime is the processor time that this thread has used, in nanoseconds.
func threadTime(b *testing.B) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return t.Nano()
}
