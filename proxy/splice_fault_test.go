package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// A body that is on its way while the connection to an endpoint over TLS is still being opened goes through no pipe:
// it has to be sealed.
func TestSpliceBeforeTLS(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := secureUpstream(t, id, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		}, nil)
		r := start(t, open(), []string{up}, toSecure(id, false, handshake.ClientOptions{}))
		for i := range 5 {
			want := noise(1<<20, uint64(i))
			c := client(t) // with a connection of its own
			res, err := c.Post("http://"+r.addr, "", bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes came back of %d, %v", len(got), len(want), err)
			}
			r.publish(func(s *plan.Snapshot) { s.Limits.UpstreamPool = 0 })
		}
	})
}

// Urgent data is no part of a stream, wherever it stands in it: what is around it arrives, and at once.
func TestTunnelUrgentData(t *testing.T) {
	first := clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		far := farEnd(t, func(conn *net.TCPConn) {
			_, _ = io.Copy(conn, conn)
			conn.Close()
		})
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		for i, sizes := range [][2]int{
			{10, 10}, {5000, 5000}, {100_000, 100_000}, {300_000, 20}, {300_000, 0}, {0, 300_000}, {0, 3}, {9, 0},
		} {
			want := noise(len(first)+sizes[0]+sizes[1], uint64(i))
			copy(want, first)
			conn := dialRig(t, r)
			raw, err := conn.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			wrote := make(chan error, 1)
			go func() {
				conn.Write(want[:len(first)+sizes[0]])
				var urgent error
				_ = raw.Write(func(fd uintptr) bool {
					urgent = unix.Sendto(int(fd), []byte{'!'}, unix.MSG_OOB, nil)
					return urgent != unix.EAGAIN
				})
				conn.Write(want[len(first)+sizes[0]:])
				wrote <- urgent
			}()
			got := make([]byte, len(want))
			if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v: %d bytes came back of %d, %v", sizes, n, len(want), err)
			}
			if err := <-wrote; err != nil {
				t.Error(err)
			}
			conn.CloseWrite()
			if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
				t.Errorf("%v: %d bytes more, then %v", sizes, len(rest), err)
			}
			conn.Close()
		}
	})
}

// Where no pipe can be opened bytes are copied.
func TestSpliceNoPipe(t *testing.T) {
	first := clientHello(t, "pass.example.com")
	body := noise(3<<20, 3)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			_, _ = io.CopyN(conn, conn, int64(len(first))) // now both ends have their descriptors
			_, _ = conn.Read(make([]byte, 1))
			_, _ = conn.Write(body)
		})
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		conn := dialRig(t, r)
		_, _ = conn.Write(first)
		if _, err := io.ReadFull(conn, make([]byte, len(first))); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(body))
		withoutDescriptors(t, func() {
			_, _ = conn.Write([]byte{0})
			if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes arrived of %d, %v", n, len(body), err)
			}
		})
		if n := r.metrics.Snapshot().Counter(metrics.BytesSpliced); n > 0 {
			t.Errorf("%d bytes went through a pipe", n)
		}
	})
}

// withoutDescriptors runs f while no descriptor can be had.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: 3, Max: was.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
