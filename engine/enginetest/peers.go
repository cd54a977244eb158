package enginetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// pattern is n bytes in which no shift, loss or repetition goes unseen.
func pattern(seed uint64, n int) []byte {
	rng := rand.NewPCG(seed, 1)
	p := make([]byte, (n+7)&^7)
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], rng.Uint64())
	}
	return p[:n]
}

// push writes all of p to the peer while the turns go on.
func (r *rig) push(p Peer, data []byte) {
	r.t.Helper()
	r.until("the peer to write everything", func() bool {
		n, err := p.Write(data)
		if err != nil && err != ErrWait {
			r.t.Fatalf("peer writes: %v", err)
		}
		data = data[n:]
		return len(data) == 0
	})
}

// fill writes to the peer until the connection takes no more and returns the number of bytes written.
func (r *rig) fill(p Peer, data []byte) int {
	r.t.Helper()
	written := 0
	for calm := 0; calm < 20; calm++ {
		n, err := p.Write(data[written:])
		if err != nil && err != ErrWait {
			r.t.Fatalf("peer writes: %v", err)
		}
		if n > 0 {
			calm = 0
		}
		if written += n; written == len(data) {
			r.t.Fatalf("the connection took all of %d bytes though nobody reads", written)
		}
		r.poll(pause)
	}
	return written
}

// pull reads n bytes from the peer while the turns go on.
func (r *rig) pull(p Peer, n int) []byte {
	r.t.Helper()
	got := make([]byte, n)
	at := 0
	r.until("the peer to read everything", func() bool {
		for at < n {
			k, err := p.Read(got[at:])
			if err == ErrWait {
				return false
			}
			if err != nil {
				r.t.Fatalf("peer reads after %d of %d bytes: %v", at, n, err)
			}
			at += k
		}
		return true
	})
	return got
}

// pullAll reads to the stream's end and returns what came, and how it ended: io.EOF or an errno.
func (r *rig) pullAll(p Peer) ([]byte, error) {
	r.t.Helper()
	var got []byte
	var end error
	r.until("the peer to see the end", func() bool {
		for end == nil {
			n, err := p.Read(r.chunk)
			if err == ErrWait {
				return false
			}
			got, end = append(got, r.chunk[:n]...), err
		}
		return true
	})
	return got, end
}

// wantEOF checks that the peer reads exactly want and then the end.
func (r *rig) wantEOF(p Peer, want []byte) {
	r.t.Helper()
	got, end := r.pullAll(p)
	if end != io.EOF || !bytes.Equal(got, want) {
		r.t.Fatalf("the peer read %d bytes, want %d, and then %v, want EOF", len(got), len(want), end)
	}
}

// wantReset checks that the peer's stream ends with a reset.
func (r *rig) wantReset(p Peer) {
	r.t.Helper()
	if _, end := r.pullAll(p); !errors.Is(end, unix.ECONNRESET) {
		r.t.Fatalf("the peer's stream ended with %v, want a reset", end)
	}
}
