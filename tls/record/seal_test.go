package record

import (
	"bytes"
	"math"
	mrand "math/rand/v2"
	"testing"

	"github.com/uringproxy/uringproxy/internal/invariant"
	"github.com/uringproxy/uringproxy/tls/alert"
)

const second = 1_000_000_000

// lengths are the plaintext lengths of the records in b.
func lengths(l *Layer, b []byte) []int {
	var list []int
	around := l.write.form.before() + l.write.form.after()
	for len(b) > 0 {
		n := headerLen + bodyLen(b)
		list = append(list, n-around)
		b = b[n:]
	}
	return list
}

// TestSealInPlace seals any number of bytes, with exactly the room that it asks for.
func TestSealInPlace(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		now := int64(5 * second)
		for _, n := range []int{0, 1, 2, 1368, 1369, 1370, 4096, 16384, 100_000, 70_000, 1, 16384, 16385, 50_000} {
			data := random(n)
			room := client.Room(n, now)
			if n == 0 {
				room = 0
			}
			if n > 0 && n <= smallRecord && room > Headroom {
				t.Errorf("room before %d bytes is %d, more than %d", n, room, Headroom)
			}
			const margin = 3
			b := make([]byte, margin+room+n+client.write.form.after()+margin)
			guard := bytes.Clone(b)
			if room > 0 {
				small := b[:margin+room+n+client.write.form.after()-1]
				if _, _, r := client.Seal(small[:len(small):len(small)], margin+room, margin+room+n, now); r != NoRoom {
					t.Fatalf("%d bytes with a byte less behind them: %v", n, r)
				}
				if _, _, r := client.Seal(b, room-1, room-1+n, now); r != NoRoom {
					t.Fatalf("%d bytes with a byte less before them: %v", n, r)
				}
			}
			copy(b[margin+room:], data)
			start, end, r := client.Seal(b, margin+room, margin+room+n, now)
			if r != Sealed || start != margin {
				t.Fatalf("seal %d bytes: %d to %d, %v", n, start, end, r)
			}
			if !bytes.Equal(b[:start], guard[:start]) || !bytes.Equal(b[len(b)-margin:], guard[:margin]) {
				t.Fatalf("wrote outside of its room")
			}
			opens(t, server, b[start:end], data)
		}
	})
}

// TestSealTo seals spans of any length into buffers of any size, to the last byte.
func TestSealTo(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		rng := mrand.New(mrand.NewPCG(1, 2))
		r := reader{layer: server}
		var want []byte
		for range 60 {
			var spans [][]byte
			for range 1 + rng.IntN(8) {
				spans = append(spans, random(rng.IntN(5000)))
				want = append(want, spans[len(spans)-1]...)
			}
			for len(spans) > 0 {
				dst := make([]byte, 3, 3+rng.IntN(20_000))
				out, took, refusal := client.SealTo(dst, spans, second)
				if cap(out) != cap(dst) {
					t.Fatal("another buffer")
				}
				if refusal == NoRoom {
					if around := client.write.form.before() + client.write.form.after(); cap(dst)-3 > around {
						t.Fatalf("no room in %d bytes", cap(dst)-3)
					}
					continue
				}
				if refusal != Sealed {
					t.Fatal(refusal)
				}
				if res := r.feedSplit(rng, out[3:], 3000); res.Kind != NeedMore {
					t.Fatalf("open: %v %v", res.Kind, res.Alert)
				}
				for len(spans) > 0 && took >= len(spans[0]) {
					took -= len(spans[0])
					spans = spans[1:]
				}
				if len(spans) > 0 {
					spans[0] = spans[0][took:]
				}
			}
		}
		if !bytes.Equal(r.plain, want) {
			t.Fatalf("opened %d bytes that are not the %d sealed", len(r.plain), len(want))
		}
	})
}

// TestRecordSizes is the policy: small, large after a while, small again after a second of silence.
func TestRecordSizes(t *testing.T) {
	client, server := pair(t, suites[0].id)
	seal := func(n int, now int64) []int {
		data := random(n)
		out, took, _ := client.SealTo(make([]byte, 0, 2*n+100), [][]byte{data}, now)
		if took != n {
			t.Fatalf("took %d of %d", took, n)
		}
		opens(t, server, out, data)
		return lengths(client, out)
	}
	small := func(now int64) {
		t.Helper()
		list := seal(bulkAfter+40_000, now)
		for i, n := range list {
			want := smallRecord
			if i*smallRecord >= bulkAfter {
				want = MaxPlaintext
			}
			if n != want && i < len(list)-1 {
				t.Fatalf("record %d holds %d bytes, want %d", i, n, want)
			}
		}
	}
	small(7 * second)
	if list := seal(20_000, 8*second-1); list[0] != MaxPlaintext {
		t.Errorf("within a second: %v", list)
	}
	if list := seal(20_000, 9*second-2); list[0] != MaxPlaintext {
		t.Errorf("within a second of the last: %v", list)
	}
	small(10*second - 2)
}

// TestKeyLimit changes our own key when it is used up; TLS 1.2 can only say so.
func TestKeyLimit(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		client.write.seq, server.read.seq = keyRecords-1, keyRecords-1
		opens(t, server, sealed(t, client, []byte("last")), []byte("last"))
		v13 := client.write.form == form13
		if client.Worn() == v13 {
			t.Errorf("worn: %v", !v13)
		}
		b := make([]byte, 200)
		at := client.Room(3, second)
		copy(b[at:], "new")
		start, end, r := client.Seal(b, at, at+3, second)
		if r != Sealed {
			t.Fatal(r)
		}
		opens(t, server, b[start:end], []byte("new"))
		if in, _ := server.KeyUpdates(); in == 1 != v13 {
			t.Errorf("%d key updates", in)
		}
		opens(t, client, sealed(t, server, []byte("same key")), []byte("same key"))
	})
}

// TestWriteSequenceEnd seals nothing with a number that may wrap.
func TestWriteSequenceEnd(t *testing.T) {
	client, _ := pair(t, suites[5].id)
	client.write.seq = math.MaxUint64 - 3
	if _, _, r := client.Seal(make([]byte, 100), 20, 22, 0); r != Spent {
		t.Error(r)
	}
	if _, _, r := client.SealTo(make([]byte, 0, 100), [][]byte{{1, 2}}, 0); r != Spent {
		t.Error(r)
	}
	if out := client.Alert(make([]byte, 0, ControlRoom), alert.CloseNotify); len(out) == 0 {
		t.Error("no number left for the last word")
	}
	client, _ = pair(t, suites[5].id)
	client.write.seq = math.MaxUint64
	if out := client.Alert(make([]byte, 0, ControlRoom), alert.CloseNotify); len(out) != 0 {
		t.Error("the last number of all was used")
	}
}

// TestLastWord seals nothing behind an alert.
func TestLastWord(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		out := client.Alert(make([]byte, 2, 2+ControlRoom), alert.IllegalParameter)
		if res := server.Open(out[2:]); res.Kind != PeerAlert || res.Alert != alert.IllegalParameter {
			t.Errorf("alert reads %+v", res)
		}
		if again := client.Alert(make([]byte, 0, ControlRoom), alert.CloseNotify); len(again) != 0 {
			t.Error("a second alert")
		}
		if _, _, r := client.Seal(make([]byte, 100), 20, 22, 0); r != Ended {
			t.Error(r)
		}
		if _, _, r := client.SealTo(make([]byte, 0, 100), [][]byte{{1, 2}}, 0); r != Ended {
			t.Error(r)
		}
		opens(t, client, sealed(t, server, []byte("half open")), []byte("half open"))
	})
}

// TestWitness shows that builds with the tag invariant notice a pair of key and number that is used twice.
func TestWitness(t *testing.T) {
	if !invariant.Enabled {
		t.Skip("needs the tag invariant")
	}
	forSuites(t, func(t *testing.T, client, _ *Layer) {
		twin := *client
		sealed(t, client, []byte("one"))
		defer func() {
			if recover() == nil {
				t.Error("sealed twice with one key and number")
			}
		}()
		sealed(t, &twin, []byte("other"))
	})
}
