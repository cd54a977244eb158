package load

import (
	"bytes"
	"crypto/rand"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// layers are the record layers of the two ends of a connection.
func layers(t *testing.T) (client, server *record.Layer) {
	t.Helper()
	client, server = new(record.Layer), new(record.Layer)
	var secrets [2][32]byte
	for i := range secrets {
		rand.Read(secrets[i][:])
	}
	for _, l := range []*record.Layer{client, server} {
		keys, err := record.NewKeys13(suite, l == client, secrets[0][:], secrets[1][:], nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Start(keys)
	}
	return client, server
}

// Records are opened wherever reads cut them, and what is cut is kept.
func TestRecordsAtEverySplit(t *testing.T) {
	want := Pattern(3000)
	for cut := range 3 * 1400 {
		client, server := layers(t)
		sealed, took, _ := server.SealTo(make([]byte, 0, 8192), [][]byte{want}, 0)
		if took != len(want) {
			t.Fatalf("%d of %d bytes sealed", took, len(want))
		}
		c := &conn{layer: client}
		var got []byte
		cut = min(cut, len(sealed))
		for _, part := range [][]byte{sealed[:cut], sealed[cut:]} {
			b := append(append([]byte(nil), c.held...), part...)
			c.held = c.held[:0]
			plain, err := c.openRecords(b)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, plain...)
		}
		if !bytes.Equal(got, want) || len(c.held) > 0 {
			t.Fatalf("cut at %d: %d bytes, %d kept", cut, len(got), len(c.held))
		}
	}
}

func TestTheEndOfRecords(t *testing.T) {
	for want, end := range map[string]func(l *record.Layer) []byte{
		errClosed.Error(): func(l *record.Layer) []byte { return l.Alert(make([]byte, 0, 64), alert.CloseNotify) },
		"peer alert: alert internal_error": func(l *record.Layer) []byte {
			return l.Alert(make([]byte, 0, 64), alert.InternalError)
		},
		"fault: alert unexpected_message": func(*record.Layer) []byte {
			return []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
		},
	} {
		client, server := layers(t)
		sealed, _, _ := server.SealTo(make([]byte, 0, 256), [][]byte{[]byte("answer")}, 0)
		c := &conn{layer: client}
		plain, err := c.openRecords(append(sealed, end(server)...))
		if string(plain) != "answer" || err == nil || err.Error() != want {
			t.Errorf("%q, %v, want %s", plain, err, want)
		}
	}
}

// sealing is a generator that can seal, and two sockets that are connected.
func sealing(t *testing.T) (*Generator, [2]int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(ends[0]), unix.Close(ends[1]) })
	return &Generator{secure: &secure{sealed: make([]byte, 0, sealedBytes)}}, ends
}

func TestRecordsCostNoAllocation(t *testing.T) {
	client, server := layers(t)
	g, ends := sealing(t)
	c := &conn{fd: ends[0], layer: client}
	request, answer := []byte("GET"), [][]byte{Pattern(40_000)}
	in, sealed := make([]byte, 64<<10), make([]byte, 0, 64<<10)
	turn := func() {
		if took, err := g.write(c, request); took != len(request) || err != nil || c.unsent() {
			t.Fatalf("%d bytes sent, %v", took, err)
		}
		if n, err := unix.Read(ends[1], in); err != nil || server.Open(in[:n]).Kind != record.Data {
			t.Fatalf("%d bytes arrived, %v", n, err)
		}
		out, _, _ := server.SealTo(sealed, answer, 0)
		half := len(out) / 2
		first, err := c.openRecords(out[:half])
		held := append(in[:0], c.held...)
		c.held = c.held[:0]
		rest, err2 := c.openRecords(append(held, out[half:]...))
		if len(first)+len(rest) != len(answer[0]) || err != nil || err2 != nil {
			t.Fatalf("%d and %d bytes, %v, %v", len(first), len(rest), err, err2)
		}
	}
	for range 10 {
		turn()
	}
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What the socket has no room for is sent when it has.
func TestSealedRecordsWait(t *testing.T) {
	client, server := layers(t)
	g, ends := sealing(t)
	text := Pattern(2 << 20)
	c := &conn{fd: ends[0], layer: client, size: int64(len(text))}
	peer := &conn{layer: server}
	var got []byte
	in := make([]byte, 256<<10)
	for c.unsent() || len(got) < len(text) {
		if c.unsent() {
			took, err := g.write(c, text[c.sent:])
			if c.sent += int64(took); err != nil && err != unix.EAGAIN {
				t.Fatal(err)
			}
		}
		held := copy(in, peer.held)
		peer.held = peer.held[:0]
		n, err := unix.Read(ends[1], in[held:])
		if err != nil {
			t.Fatal(err)
		}
		plain, err := peer.openRecords(in[:held+n])
		if got = append(got, plain...); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, text) {
		t.Errorf("%d bytes arrived that are not those sent", len(got))
	}
}
