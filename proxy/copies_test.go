package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// ledger is a backend that keeps accounts of an arena: which byte of which stream was received where, and what was sent
// from there. A byte that is sent from another place than that where it was received has been copied.
type ledger struct {
	engine.Backend
	mem     *mem.Arena
	origin  []uint64            // by offset into the arena: the received byte that was put there last, as mark names it
	streams map[uint32]*account // by slot
}

// account is what went through one connection.
type account struct {
	received []byte
	pending  []mem.Span // of the send in flight
	sent     []byte
	origins  []uint64 // of each byte sent: which byte was received at its place; 0: none
}

// mark names byte number at of what a slot received.
func mark(slot uint32, at uint64) uint64 { return uint64(slot+1)<<40 | at }

func (l *ledger) Open(env engine.Env) error {
	l.mem, l.origin, l.streams = env.Mem, make([]uint64, len(env.Mem.All())), map[uint32]*account{}
	return l.Backend.Open(env)
}

func (l *ledger) of(slot uint32) *account {
	if l.streams[slot] == nil {
		l.streams[slot] = &account{}
	}
	return l.streams[slot]
}

func (l *ledger) Poll(timeout int64, out []engine.Event) (int, error) {
	n, err := l.Backend.Poll(timeout, out)
	for i := range out[:n] {
		ev := &out[i]
		switch {
		case ev.Kind == engine.EvRecv && ev.Res > 0:
			f := l.of(ev.Slot)
			for at := range uint32(ev.Res) {
				l.origin[ev.Off+at] = mark(ev.Slot, uint64(len(f.received)))
				f.received = append(f.received, l.mem.All()[ev.Off+at])
			}
		case ev.Kind == engine.EvSent:
			l.of(ev.Slot).took(l, uint32(max(ev.Res, 0)))
		}
	}
	return n, err
}

func (l *ledger) Send(c *engine.Conn, spans []mem.Span, more bool) {
	f := l.of(c.Slot)
	f.pending = append(f.pending[:0], spans...)
	l.Backend.Send(c, spans, more)
}

// took notes that the socket has taken n bytes of the send that was in flight.
func (f *account) took(l *ledger, n uint32) {
	for _, s := range f.pending {
		s.Len = min(s.Len, n)
		n -= s.Len
		f.sent = append(f.sent, l.mem.Bytes(s)...)
		f.origins = append(f.origins, l.origin[s.Off:s.End()]...)
	}
}

// copied is how many bytes of body were sent from elsewhere than where they had been received, by the only connection
// that sent it, when it was received behind a head of so many bytes. It is -1 when none did.
func (l *ledger) copied(body []byte, head int) int {
	for _, f := range l.streams {
		if !bytes.HasSuffix(f.sent, body) {
			continue
		}
		origins := f.origins[len(f.origins)-len(body):]
		n := 0
		for i, o := range origins {
			slot, at := uint32(o>>40)-1, o&(1<<40-1)
			if o == 0 || at != uint64(head+i) || l.of(slot).received[at] != body[i] {
				n++
			}
		}
		return n
	}
	return -1
}

// bodyOf is a body that is nowhere like itself, as it is on the wire.
func bodyOf(seed uint64, size int, chunked bool) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = byte(rnd.Uint32())
	}
	if !chunked {
		return raw
	}
	var wire []byte
	for len(raw) > 0 {
		n := min(len(raw), 1+rnd.IntN(9000))
		wire = fmt.Appendf(wire, "%x\r\n%s\r\n", n, raw[:n])
		raw = raw[n:]
	}
	return append(wire, "0\r\n\r\n"...)
}

func framingOf(body []byte, chunked bool) string {
	if chunked {
		return "Transfer-Encoding: chunked\r\n\r\n"
	}
	return fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
}

// Bodies are never copied in user space: of the bytes of a body none is sent from elsewhere than where the kernel put
// it, whatever its size and framing, in both directions. A head that comes in pieces is put together, and what came
// with its last piece moves along: less than a buffer, once a message.
func TestBodiesAreNotCopied(t *testing.T) {
	const large = 200_000
	for _, tc := range []struct {
		name    string
		size    int
		chunked bool
		pieces  bool // the request's head comes in two
		most    int  // bytes of the request's body that may be copied
	}{
		{name: "small", size: 100},
		{name: "large", size: large},
		{name: "small chunked", size: 100, chunked: true},
		{name: "large chunked", size: large, chunked: true},
		{name: "head in pieces", size: large, pieces: true, most: mem.SmallBytes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, open func() engine.Backend) {
				up, down := bodyOf(1, tc.size, tc.chunked), bodyOf(2, tc.size, tc.chunked)
				request := "POST /x HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\n" + framingOf(up, tc.chunked)
				response := "HTTP/1.1 200 OK\r\nServer: test\r\n" + framingOf(down, tc.chunked)
				l := &ledger{Backend: open()}
				r := start(t, l, []string{oneAnswer(t, up, response+string(down))}, func(r *rig) {
					r.memory.Pipes = 0 // no place of ours is known for what lies in the kernel
				})
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				first := 0
				if tc.pieces {
					first = len(request) / 2
					io.WriteString(c, request[:first])
					for seen := 0; seen < first; { // until it has been received
						ask(r, func() { seen = l.received() })
					}
				}
				if _, err := io.WriteString(c, request[first:]+string(up)); err != nil {
					t.Fatal(err)
				}
				if err := readTo(c, down); err != nil {
					t.Fatal(err)
				}
				var upward, downward int
				for sent := false; !sent; {
					ask(r, func() {
						upward, downward = l.copied(up, len(request)), l.copied(down, len(response))
						sent = downward >= 0
					})
				}
				if upward < 0 || upward > tc.most || downward != 0 {
					t.Errorf("%d bytes of the request's body copied, at most %d expected, and %d of the response's",
						upward, tc.most, downward)
				}
			})
		})
	}
}

// received is the number of bytes received on all connections.
func (l *ledger) received() (n int) {
	for _, f := range l.streams {
		n += len(f.received)
	}
	return n
}

// ask runs f on the shard's thread.
func ask(r *rig, f func()) {
	done := make(chan struct{})
	r.sh.Post(func() { f(); close(done) })
	<-done
}

// oneAnswer is an upstream that reads a request up to its body's end, and answers.
func oneAnswer(t testing.TB, body []byte, answer string) string {
	return scripted(t, func(_ int, c *net.TCPConn) {
		if readTo(c, body) == nil {
			io.Copy(c, strings.NewReader(answer))
			io.Copy(io.Discard, c) // until the proxy closes
		}
	})
}

// readTo reads until what came ends with end.
func readTo(c net.Conn, end []byte) error {
	var all []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(all, end) {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		all = append(all, buf[:n]...)
	}
	return nil
}

// The ledger finds a copy when there is one: of a chunked body for a client of HTTP/1.0, which is drawn together.
func TestLedgerFindsCopies(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		wire := "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
		response := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		l := &ledger{Backend: open()}
		r := start(t, l, []string{oneAnswer(t, []byte("\r\n\r\n"), response+wire)}, nil)
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		if err := readTo(c, []byte("abcdefgh")); err != nil {
			t.Fatal(err)
		}
		n := -1
		for n < 0 {
			ask(r, func() { n = l.copied([]byte("abcdefgh"), len(response)) })
		}
		if n == 0 {
			t.Error("chunks were drawn together, and no copy was found")
		}
	})
}
