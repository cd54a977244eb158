package handshake

import (
	"testing"
)

// TestRing has bytes go through a ring between two goroutines, with both ends waiting in turns.
func TestRing(t *testing.T) {
	var r ring
	reader, writer := newWaker(), newWaker()
	const total = 40 * ringBytes
	done := make(chan int)
	go func() {
		wrong, buffer := 0, make([]byte, 5000)
		for got := 0; got < total; {
			reader.wait(func() bool { return r.len() > 0 })
			n := r.get(buffer[:1+got%len(buffer)])
			for i, b := range buffer[:n] {
				if b != byte((got+i)/7) {
					wrong++
				}
			}
			got += n
			writer.wake()
		}
		done <- wrong
	}()
	piece := make([]byte, 3001)
	for sent := 0; sent < total; {
		n := min(len(piece), total-sent)
		for i := range n {
			piece[i] = byte((sent + i) / 7)
		}
		writer.wait(func() bool { return len(r.space()) > 0 })
		sent += r.put(piece[:n])
		reader.wake()
	}
	if wrong := <-done; wrong > 0 || r.len() != 0 {
		t.Errorf("%d bytes are wrong, %d are left", wrong, r.len())
	}
}

func TestRingIsFull(t *testing.T) {
	var r ring
	all := make([]byte, 2*ringBytes)
	if n := r.put(all); n != ringBytes || len(r.space()) != 0 || r.len() != ringBytes {
		t.Errorf("took %d", n)
	}
	if n := r.get(all[:100]); n != 100 || r.put(all) != 100 {
		t.Errorf("gave %d", n)
	}
	if n := len(r.front()); n != ringBytes-100 {
		t.Errorf("%d bytes to the ring's end", n)
	}
	if n := r.get(all); n != ringBytes || r.len() != 0 || r.put(nil) != 0 || r.get(nil) != 0 {
		t.Errorf("gave %d", n)
	}
	r.head.Store(1<<32 - 5) // the counters go round
	r.tail.Store(1<<32 - 5)
	if n := r.put([]byte("0123456789")); n != 10 || r.len() != 10 {
		t.Errorf("took %d", n)
	}
	if n := r.get(all); n != 10 || string(all[:10]) != "0123456789" {
		t.Errorf("gave %d: %q", n, all[:10])
	}
}
