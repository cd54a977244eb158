package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

// piping counts the bytes that a backend is asked to send out of pipes.
type piping struct {
	engine.Backend
	bytes atomic.Int64
}

func (p *piping) SendPipe(c *engine.Conn, pipe mem.Buf, n uint32) {
	p.bytes.Add(int64(n))
	p.Backend.SendPipe(c, pipe, n)
}

// A stream's bulk goes through pipes, in both directions, and its beginning and its end do not get lost beside it.
func TestSpliceStream(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		be := &piping{Backend: open()}
		r, want := bothWays(t, be, fewer(12<<20))
		r.settled()
		snap := r.metrics.Snapshot()
		moved := snap.Counter(metrics.BytesSpliced)
		if moved == 0 || be.bytes.Load() < int64(moved) {
			t.Errorf("%d bytes are counted as spliced, and %d were sent out of pipes", moved, be.bytes.Load())
		}
		all := moved + snap.Counter(metrics.BytesBulk) + snap.Counter(metrics.BytesCopied)
		if all != want {
			t.Errorf("%d bytes are counted by their way, of %d", all, want)
		}
	})
}

// Bodies of known length go through pipes as far as they are long, and the next message on the connection is found
// where they end.
func TestSpliceBodies(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			for len(body) > 0 { // in pieces, so that there is always one more to come
				n, _ := w.Write(body[:min(len(body), 100_000)])
				body = body[n:]
			}
		})
		be := &piping{Backend: open()}
		r := start(t, be, []string{up}, nil)
		c := client(t)
		var clients sync.WaitGroup
		for i := range 3 {
			clients.Go(func() {
				for k, size := range []int{pipeBody - 1, pipeBody, pipeBody + mem.SmallBytes + 1, 700_000, 5, 4 << 20} {
					want := noise(size, uint64(10*i+k))
					res, err := c.Post("http://"+r.addr, "", bytes.NewReader(want))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes came back of %d, %v", len(got), size, err)
					}
				}
			})
		}
		clients.Wait()
		if n := be.bytes.Load(); n < 6<<20 {
			t.Errorf("%d bytes went through pipes, of 29 MB", n)
		}
	})
}

// untilPiped has conn read until something for it is found in a pipe.
func (r *rig) untilPiped(conn net.Conn) {
	r.t.Helper()
	for r.gauges().PipesHeld == 0 {
		if _, err := conn.Read(make([]byte, 10_000)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// One reader who is slow keeps the only pipe: all others go on without.
func TestSpliceFewPipes(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		first := clientHello(t, "pass.example.com")
		body := noise(3<<20, 3)
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			for conn != nil {
				if _, err := conn.Write(body); err != nil {
					return
				}
			}
		})
		r := start(t, open(), []string{far}, edits(tunnelRig(newIdentity(t), far), func(r *rig) { r.memory.Pipes = 1 }))
		slow := dialRig(t, r)
		slow.Write(first)
		r.untilPiped(slow)
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				conn := dialRig(t, r)
				conn.Write(first)
				for range 2 {
					got := make([]byte, len(body))
					if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, body) {
						t.Errorf("a stream arrived changed, %v", err)
					}
				}
			})
		}
		readers.Wait()
	})
}

// What lies in a pipe when one side breaks goes nowhere else, and the other side is told by a reset.
func TestSpliceBroken(t *testing.T) {
	for _, broken := range []string{"reader", "writer", "proxy"} {
		t.Run(broken, func(t *testing.T) {
			onEach(t, func(t *testing.T, open func() engine.Backend) {
				first := clientHello(t, "pass.example.com")
				writer := make(chan *net.TCPConn, 1)
				failed := make(chan error, 1)
				far := farEnd(t, func(conn *net.TCPConn) {
					writer <- conn
					var err error
					for err == nil {
						_, err = conn.Write(make([]byte, 256<<10))
					}
					failed <- err
				})
				r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
				reader := dialRig(t, r)
				reader.Write(first)
				r.untilPiped(reader)
				switch broken {
				case "reader":
					reader.SetLinger(0)
					reader.Close()
				case "writer":
					w := <-writer
					w.SetLinger(0)
					w.Close()
				case "proxy":
					ask(r, func() { r.w.Abandon() })
				}
				if broken != "writer" {
					if err := <-failed; !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
						t.Errorf("the writer sees %v", err)
					}
				}
				if broken != "reader" {
					if _, err := io.Copy(io.Discard, reader); !errors.Is(err, unix.ECONNRESET) {
						t.Errorf("the reader sees %v", err)
					}
				}
				r.settled()
				if n := r.gauges().PipesHeld; n != 0 {
					t.Errorf("%d pipes are held", n)
				}
			})
		})
	}
}

// A tunnel's volume rises at once, and falls after several smaller pieces in a row; that of other connections is the
// last piece's.
func TestVolume(t *testing.T) {
	const large = pipeWorth
	for _, c := range []struct {
		state  state
		pieces []uint32
		want   volume
	}{
		{stateTunnel, []uint32{large, 1}, volumePipe},
		{stateTunnel, []uint32{large, 1, 1, 1, 1, 1, 1, 1}, volumePipe},
		{stateTunnel, []uint32{large, 1, 1, 1, 1, 1, 1, 1, 1}, volumeSmall},
		{stateTunnel, []uint32{large, 1, 1, 1, 1, 1, 1, 1, large, 1}, volumePipe},
		{stateTunnel, []uint32{large, 1, 1, 1, 1, 1, 1, 1, mem.SmallBytes}, volumeBulk},
		{stateTunnel, []uint32{1, mem.SmallBytes, large}, volumePipe},
		{stateBusy, []uint32{large, 1}, volumeSmall},
	} {
		l := link{state: c.state}
		for _, n := range c.pieces {
			l.weigh(n)
		}
		if l.volume != c.want {
			t.Errorf("state %d, pieces %v: volume %d, want %d", c.state, c.pieces, l.volume, c.want)
		}
	}
}
