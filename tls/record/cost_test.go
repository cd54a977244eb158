package record

import (
	"strconv"
	"testing"
	"unsafe"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// TestAllocations opens and seals without the allocator, data and alerts.
func TestAllocations(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		b := make([]byte, 0, 200_000)
		data := random(50_000)
		spans := [][]byte{data[:1000], data[1000:]}
		opener := reader{layer: server, plain: make([]byte, 0, 1<<20)}
		got := testing.AllocsPerRun(20, func() {
			out, took, _ := client.SealTo(b, spans, second)
			opener.plain = opener.plain[:0]
			if took != len(data) || opener.feed(out[:777]).Kind > Quiet || opener.feed(out[777:]).Kind != NeedMore {
				t.Fatal("data did not come through")
			}
			const at = 2000
			start, end, _ := client.Seal(b[:at+3000], at, at+3000, second)
			if opener.feed(b[start:end]).Kind != NeedMore {
				t.Fatal("data did not come through")
			}
		})
		if got != 0 {
			t.Errorf("%v allocations for data", got)
		}
		if got := testing.AllocsPerRun(1, func() { client.Open(server.Alert(b, alert.CloseNotify)) }); got != 0 {
			t.Errorf("%v allocations for an alert", got)
		}
	})
}

// TestSizes holds what a connection costs besides its ciphers, and the room around a record.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Layer{}); n > 264 {
		t.Errorf("a Layer has %d bytes", n)
	}
	for _, f := range []form{form13, form12GCM, form12XOR} {
		if f.before() > Headroom || f.after() > Tailroom || f.before()+MaxPlaintext+f.after() > MaxRecord {
			t.Errorf("form %d needs more room than the constants say", f)
		}
	}
	if updateLen > ControlRoom {
		t.Error("a key update is longer than ControlRoom")
	}
}

func benchmark(b *testing.B, run func(b *testing.B, client, server *Layer, n int)) {
	for _, s := range suites {
		for _, n := range []int{1 << 10, 16 << 10} {
			b.Run(s.name+"/"+strconv.Itoa(n>>10)+"KiB", func(b *testing.B) {
				client, server := pair(b, s.id)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				run(b, client, server, n)
			})
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	benchmark(b, func(b *testing.B, client, _ *Layer, n int) {
		buf := make([]byte, Headroom+n+Tailroom)
		client.sent = 1 << 40
		for b.Loop() {
			if client.write.seq >= keyRecords-1 {
				client.write.update()
			}
			if _, _, r := client.Seal(buf, Headroom, Headroom+n, 0); r != Sealed {
				b.Fatal(r)
			}
		}
	})
}

func BenchmarkSealTo(b *testing.B) {
	benchmark(b, func(b *testing.B, client, _ *Layer, n int) {
		spans := [][]byte{random(n)}
		dst := make([]byte, 0, 2*n)
		client.sent = 1 << 40
		for b.Loop() {
			if client.write.seq >= keyRecords-1 {
				client.write.update()
			}
			if _, took, _ := client.SealTo(dst, spans, 0); took != n {
				b.Fatal(took)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	benchmark(b, func(b *testing.B, client, server *Layer, n int) {
		rec := raw(client, typeData, random(n))
		seq := server.read.seq
		buf := make([]byte, len(rec))
		for b.Loop() {
			copy(buf, rec) // opening overwrites it
			server.read.seq = seq
			if res := server.Open(buf); res.Len != n {
				b.Fatal(res)
			}
		}
	})
}

// BenchmarkKeys is what a handshake's end costs, and how much memory two ciphers take.
func BenchmarkKeys(b *testing.B) {
	cs, ss := random(32), random(32)
	for _, s := range []int{0, 2} {
		b.Run(suites[s].name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewKeys13(suites[s].id, false, cs, ss, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkKeyUpdate is what a peer can make us spend with a record of 27 bytes.
func BenchmarkKeyUpdate(b *testing.B) {
	client, _ := pair(b, suites[0].id)
	b.ReportAllocs()
	for b.Loop() {
		if err := client.write.update(); err != nil {
			b.Fatal(err)
		}
	}
}
