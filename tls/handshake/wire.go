package handshake

import (
	"io"
	"sync/atomic"
)

// wire is a connection in memory between crypto/tls, which blocks at its end, and something that never does.
type wire struct {
	nowhere
	up, down ring  // from crypto/tls, and to it
	waker    waker // crypto/tls waits
	bell     func()
	ended    atomic.Bool // nothing more comes down, and nothing goes up
	closed   atomic.Bool // crypto/tls has closed its end
}

func newWire(bell func()) *wire { return &wire{waker: newWaker(), bell: bell} }

func (w *wire) Read(p []byte) (int, error) {
	w.waker.wait(func() bool { return w.down.len() > 0 || w.ended.Load() })
	n := w.down.get(p)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	w.bell()
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	took := 0
	for {
		took += w.up.put(p[took:])
		w.bell()
		if took == len(p) {
			return took, nil
		}
		w.waker.wait(func() bool { return len(w.up.space()) > 0 || w.ended.Load() })
		if w.ended.Load() {
			return took, io.ErrClosedPipe
		}
	}
}

func (w *wire) Close() error {
	w.closed.Store(true)
	w.bell()
	return nil
}

// cut ends the wire for crypto/tls.
func (w *wire) cut() {
	w.ended.Store(true)
	w.waker.wake()
}
