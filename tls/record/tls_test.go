package record

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// echo sends back what it receives until the peer closes, and closes too. It receives in buffers of random length,
// seals now in place and now into another buffer, and changes its key now and then.
func (c *taken) echo(rng *mrand.Rand) error {
	r := reader{layer: c.layer}
	for {
		b := make([]byte, 1+rng.IntN(9000))
		n, err := c.conn.Read(b)
		if err != nil {
			return err
		}
		res := r.feed(b[:n])
		if len(r.plain) > 0 {
			if c.layer.write.form == form13 && rng.IntN(5) == 0 {
				c.layer.owed = true
			}
			if err := c.send(rng, r.plain); err != nil {
				return err
			}
			r.plain = r.plain[:0]
		}
		switch res.Kind {
		case Closed:
			return c.say(alert.CloseNotify)
		case Fault:
			return errors.Join(c.say(res.Alert), errors.New("fault "+res.Alert.String()))
		case PeerAlert:
			return errors.New("peer says " + res.Alert.String())
		}
	}
}

// say sends an alert. It goes through the gate, which keeps what was written.
func (c *taken) say(a alert.Alert) error {
	_, err := c.gate.Write(c.layer.Alert(make([]byte, 0, ControlRoom), a))
	return err
}

func (c *taken) send(rng *mrand.Rand, data []byte) error {
	for len(data) > 0 {
		var out []byte
		if rng.IntN(2) == 0 {
			n := min(len(data), 1+rng.IntN(40_000))
			room := c.layer.Room(n, 0)
			b := make([]byte, room+n+Tailroom)
			copy(b[room:], data[:n])
			start, end, refusal := c.layer.Seal(b, room, room+n, 0)
			if refusal != Sealed {
				return errors.New(refusal.String())
			}
			data, out = data[n:], b[start:end]
		} else {
			cut := rng.IntN(len(data))
			var took int
			var refusal Refusal
			dst := make([]byte, 0, 100+rng.IntN(40_000))
			out, took, refusal = c.layer.SealTo(dst, [][]byte{data[:cut], data[cut:]}, 0)
			if refusal != Sealed {
				return errors.New(refusal.String())
			}
			data = data[took:]
		}
		if _, err := c.gate.Write(out); err != nil {
			return err
		}
	}
	return nil
}

// converse sends messages of random sizes through an echo and closes, with crypto/tls.
func converse(peer *tls.Conn, rng *mrand.Rand) error {
	for range 30 {
		data := random(1 + rng.IntN(20_000))
		if _, err := peer.Write(data); err != nil {
			return err
		}
		back := make([]byte, len(data))
		if _, err := io.ReadFull(peer, back); err != nil {
			return err
		}
		if !bytes.Equal(back, data) {
			return errors.New("what came back is not what was sent")
		}
	}
	if err := peer.CloseWrite(); err != nil {
		return err
	}
	if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return errors.Join(errors.New("no close_notify"), err)
	}
	return nil
}

// TestCryptoTLS speaks with crypto/tls, as its server and as its client, after all kinds of handshakes.
func TestCryptoTLS(t *testing.T) {
	for _, s := range setups() {
		for _, client := range []bool{false, true} {
			name := s.name + "/server"
			if client {
				name = s.name + "/client"
			}
			t.Run(name, func(t *testing.T) { withCryptoTLS(t, s, client) })
		}
	}
}

func withCryptoTLS(t *testing.T, s setup, client bool) {
	serverConfig, clientConfig := s.configs()
	if s.resume {
		prime(t, serverConfig, clientConfig)
	}
	ours, theirs := serverConfig, clientConfig
	shake := tls.Client
	if client {
		ours, theirs, shake = clientConfig, serverConfig, tls.Server
	}
	a, b := memPipe()
	defer a.Close()
	done := make(chan error, 1)
	go func() {
		done <- converse(shake(b, theirs), mrand.New(mrand.NewPCG(1, uint64(s.suite))))
		b.Close()
	}()
	c, err := takeOver(a, ours, client)
	if err != nil {
		t.Fatal(errors.Join(err, <-done))
	}
	if c.state.DidResume != s.resume || c.state.Version != s.max {
		t.Fatalf("resumed %v, version %#x", c.state.DidResume, c.state.Version)
	}
	if software() && s.max == tls.VersionTLS13 && c.state.CipherSuite != tls.TLS_CHACHA20_POLY1305_SHA256 {
		t.Fatalf("cipher suite %#x without AES in the processor", c.state.CipherSuite)
	}
	want := uint64(0)
	if s.max == tls.VersionTLS12 || !client && !s.noTicket {
		want = 1
	}
	if c.layer.write.seq != want {
		t.Errorf("sealing goes on at %d, want %d", c.layer.write.seq, want)
	}
	err = c.echo(mrand.New(mrand.NewPCG(2, uint64(s.suite))))
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if n := onWire(t, c.spare, c.gate.written); n < 30 {
		t.Errorf("%d records on the wire", n)
	}
}

// TestWithoutAES does the same where the processor has no AES: crypto/tls then chooses ChaCha20-Poly1305 in TLS 1.3.
func TestWithoutAES(t *testing.T) {
	if software() {
		t.Skip("this is that run")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCryptoTLS$")
	cmd.Env = append(os.Environ(), "GODEBUG=cpu.aes=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// established is a TLS connection, ours the server's end.
func established(t *testing.T) (ours *taken, peer *tls.Conn, wire net.Conn) {
	t.Helper()
	server, client := setup{max: tls.VersionTLS13}.configs()
	a, b := memPipe()
	t.Cleanup(func() { a.Close() })
	peer = tls.Client(b, client)
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	ours, err := takeOver(a, server, false)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return ours, peer, b
}

// TestTruncation tells an end of stream without close_notify from one with it, on both sides.
func TestTruncation(t *testing.T) {
	ours, peer, wire := established(t)
	wire.Close()
	if err := ours.echo(mrand.New(mrand.NewPCG(1, 1))); err != io.EOF || ours.layer.PeerClosed() {
		t.Errorf("truncated: %v, closed %v", err, ours.layer.PeerClosed())
	}
	ours, peer, _ = established(t)
	if err := ours.send(mrand.New(mrand.NewPCG(1, 1)), []byte("whole")); err != nil {
		t.Fatal(err)
	}
	rec := raw(ours.layer, typeData, []byte("cut"))
	ours.conn.Write(rec[:len(rec)-1])
	ours.conn.Close()
	b := make([]byte, 10)
	if n, err := peer.Read(b); string(b[:n]) != "whole" || err != nil {
		t.Errorf("peer reads %q, %v", b[:n], err)
	}
	if n, err := peer.Read(b); n != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("peer reads %q, %v: want a truncation", b[:n], err)
	}
}

// TestAlertsReachPeer has crypto/tls read our alerts.
func TestAlertsReachPeer(t *testing.T) {
	ours, peer, _ := established(t)
	if err := ours.say(alert.RecordOverflow); err != nil {
		t.Fatal(err)
	}
	_, err := peer.Read(make([]byte, 1))
	var alert tls.AlertError
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Err.Error() == tls.AlertError(22).Error() {
		return
	}
	if !errors.As(err, &alert) || alert != 22 {
		t.Errorf("peer reads %v", err)
	}
}

// TestResume finds how many records were sealed, and refuses what leaves a doubt.
func TestResume(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		hello := []byte{byte(typeHandshake), 3, 3, 0, 4, 2, 0, 0, 0}
		sealer := client.write
		written := append([]byte(nil), hello...)
		other := raw(server, typeData, []byte("under other keys"))
		written = append(written, other...)
		from := sealer.seq
		for want := range uint64(4) {
			h := client.write
			h.seq = from
			if n, err := h.resume(written); n != int(want) || err != nil || h.seq != from+want {
				t.Fatalf("found %d records, %v, want %d", n, err, want)
			}
			l := &Layer{write: sealer}
			written = append(written, raw(l, typeHandshake, ticket(int(want)+1))...)
			sealer = l.write
		}
		for what, bad := range map[string][]byte{
			"beginning is missing": written[len(hello):],
			"end is cut":           written[:len(written)-1],
			"header is cut":        append(bytes.Clone(written), 23, 3, 3),
			"another key behind":   append(bytes.Clone(written), other...),
		} {
			h := client.write
			h.seq = from
			if _, err := h.resume(bad); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
	})
}

// TestKeysRefused gives wrong arguments.
func TestKeysRefused(t *testing.T) {
	s32, s48, w := random(32), random(48), []byte(nil)
	for what, err := range map[string]error{
		"a suite of 1.2": second2(NewKeys13(0xc02f, true, s32, s32, w)),
		"a suite of 1.3": second2(NewKeys12(0x1301, true, s48, s32, s32, w)),
		"CBC":            second2(NewKeys12(0xc013, true, s48, s32, s32, w)),
		"short secret":   second2(NewKeys13(0x1302, true, s32, s48, w)),
		"short master":   second2(NewKeys12(0xc02f, true, s32, s32, s32, w)),
		"no Finished":    second2(NewKeys12(0xc02f, true, s48, s32, s32, w)),
		"no hello":       second2(NewKeys13(0x1301, true, s32, s32, raw0())),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func second2(_ *Keys, err error) error { return err }

func raw0() []byte { return []byte{byte(typeData), 3, 3, 0, 1, 0} }
