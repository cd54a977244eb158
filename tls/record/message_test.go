package record

import (
	"bytes"
	"testing"

	"github.com/uringproxy/uringproxy/tls/alert"
)

func update(request byte) []byte { return []byte{keyUpdate, 0, 0, 1, request} }

func ticket(n int) []byte {
	return append([]byte{newSessionTicket, byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, n)...)
}

// updated sends a key update as the peer would, and follows it.
func updated(l *Layer, request byte) []byte {
	b := raw(l, typeHandshake, update(request))
	if l.write.update() != nil {
		panic("no next key")
	}
	return b
}

// TestKeyUpdate goes through updates of both sides, asked for and not.
func TestKeyUpdate(t *testing.T) {
	for _, s := range suites[:3] {
		t.Run(s.name, func(t *testing.T) {
			client, server := pair(t, s.id)
			for i := range 10 {
				opens(t, server, updated(client, 0), nil)
				opens(t, server, sealed(t, client, []byte("to the server")), []byte("to the server"))
				opens(t, client, sealed(t, server, []byte("same key")), []byte("same key"))

				// Three requests in a row are answered by one update, before the next data.
				for range 3 {
					opens(t, server, updated(client, 1), nil)
				}
				opens(t, client, sealed(t, server, []byte("next key")), []byte("next key"))
				opens(t, client, sealed(t, server, []byte("same key")), []byte("same key"))
				if in, out := server.KeyUpdates(); in != uint32(4*(i+1)) || out != uint32(i+1) {
					t.Fatalf("round %d: %d updates in, %d out", i, in, out)
				}
			}
		})
	}
}

// TestKeyUpdateFlood bounds what a peer can make us do without sending data.
func TestKeyUpdateFlood(t *testing.T) {
	client, server := pair(t, suites[0].id)
	for range idleRecords {
		opens(t, server, updated(client, 1), nil)
	}
	opens(t, server, sealed(t, client, []byte("x")), []byte("x"))
	for range idleRecords {
		opens(t, server, updated(client, 1), nil)
	}
	faults(t, server, updated(client, 1), alert.UnexpectedMessage)
	if _, out := server.KeyUpdates(); out != 0 {
		t.Errorf("%d updates sent without data", out)
	}
}

// TestBadKeyUpdate holds the RFC's rules for the message and for where it ends.
func TestBadKeyUpdate(t *testing.T) {
	for _, c := range []struct {
		name    string
		content []byte
		want    alert.Alert
	}{
		{"value", update(2), alert.IllegalParameter},
		{"long", []byte{keyUpdate, 0, 0, 2, 0, 0}, alert.DecodeError},
		{"empty", []byte{keyUpdate, 0, 0, 0}, alert.DecodeError},
		{"long by its third byte", []byte{keyUpdate, 1, 0, 1}, alert.DecodeError},
		{"followed by another", append(update(0), update(0)...), alert.UnexpectedMessage},
		{"ticket to a server", ticket(20), alert.UnexpectedMessage},
		{"hello", []byte{clientHello, 0, 0, 1, 0}, alert.UnexpectedMessage},
		{"certificate request", []byte{13, 0, 0, 1, 0}, alert.UnexpectedMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := pair(t, suites[0].id)
			faults(t, server, raw(client, typeHandshake, c.content), c.want)
		})
	}
}

// TestTickets skips them, however they are cut into records, and takes the key update behind them.
func TestTickets(t *testing.T) {
	for _, cut := range []int{1, 2, 3, 4, 5, 6, 7, 30, 200, 5000} {
		client, server := pair(t, suites[1].id)
		messages := append(append(ticket(10), ticket(3)...), update(1)...)
		if cut >= 5000 {
			messages = append(ticket(maxTicket), messages...)
		}
		for b := messages; len(b) > 0; b = b[min(cut, len(b)):] {
			opens(t, client, raw(server, typeHandshake, b[:min(cut, len(b))]), nil)
		}
		if err := server.write.update(); err != nil {
			t.Fatal(err)
		}
		opens(t, client, sealed(t, server, []byte("next key")), []byte("next key"))
		opens(t, server, sealed(t, client, []byte("answer")), []byte("answer"))
		if in, out := client.KeyUpdates(); in != 1 || out != 1 {
			t.Errorf("cut at %d: %d updates in, %d out", cut, in, out)
		}
	}
	for what, content := range map[string][]byte{
		"too long": {newSessionTicket, 2, 1, 10},
		"empty":    {newSessionTicket, 0, 0, 0},
	} {
		t.Run(what, func(t *testing.T) {
			client, server := pair(t, suites[0].id)
			faults(t, client, raw(server, typeHandshake, content), alert.DecodeError)
		})
	}
}

// TestInterleaving refuses other records within a message (RFC 8446, section 5.1).
func TestInterleaving(t *testing.T) {
	for _, typ := range []contentType{typeData, typeAlert} {
		client, server := pair(t, suites[0].id)
		opens(t, client, raw(server, typeHandshake, ticket(9)[:6]), nil)
		faults(t, client, raw(server, typ, []byte{1, 0}), alert.UnexpectedMessage)
	}
}

func TestRenegotiation(t *testing.T) {
	for _, c := range []struct {
		fromServer bool
		typ        byte
		want       alert.Alert
	}{
		{false, clientHello, alert.NoRenegotiation},
		{true, helloRequest, alert.NoRenegotiation},
		{true, clientHello, alert.UnexpectedMessage},
		{false, helloRequest, alert.UnexpectedMessage},
		{false, keyUpdate, alert.UnexpectedMessage},
	} {
		from, to := pair(t, suites[3].id)
		if c.fromServer {
			from, to = to, from
		}
		faults(t, to, raw(from, typeHandshake, []byte{c.typ, 0, 0, 0}), c.want)
		said := to.Alert(make([]byte, 0, ControlRoom), c.want)
		if res := from.Open(said); c.want == alert.NoRenegotiation && res.Kind != Quiet ||
			c.want != alert.NoRenegotiation && res.Kind != PeerAlert {
			t.Errorf("the refusal %v reads %v", c.want, res.Kind)
		}
	}
}

// TestWipe finds nothing secret left, and nothing that still works.
func TestWipe(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		rec := sealed(t, client, []byte("x"))
		secret := server.read.secret
		server.Wipe()
		for _, h := range []*Half{&server.read, &server.write} {
			if h.aead != nil || h.low != 0 || h.nonce != [ivLen]byte{} || h.secret != [secretLen]byte{} {
				t.Errorf("left of a half: %+v", h)
			}
		}
		if server.read.form == form13 && bytes.Equal(secret[:], server.read.secret[:]) {
			t.Error("there was no secret")
		}
		faults(t, server, rec, alert.InternalError)
		if out := server.Alert(make([]byte, 0, ControlRoom), alert.InternalError); len(out) != 0 {
			t.Error("an alert without a key")
		}
	})
}
