package handshake

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// mangle changes a peer's stream as a script of three bytes a step says: what, where, how.
func mangle(stream, script []byte) []byte {
	stream = bytes.Clone(stream)
	for ; len(script) >= 3 && len(stream) > 0; script = script[3:] {
		at := int(script[1]) * len(stream) / 256
		switch n := int(script[2]); script[0] % 6 {
		case 0: // another byte
			stream[at] ^= byte(n)
		case 1: // an end
			stream = stream[:at]
		case 2: // something between
			stream = append(stream[:at:at], append(bytes.Repeat([]byte{byte(n)}, 1+n%7), stream[at:]...)...)
		case 3: // something left out
			stream = append(stream[:at:at], stream[min(len(stream), at+n):]...)
		case 4: // something twice
			stream = append(stream[:at:at], append(bytes.Clone(stream[at:min(len(stream), at+n)]), stream[at:]...)...)
		case 5: // the first record as two
			if len(stream) > 6 {
				size := int(stream[3])<<8 | int(stream[4])
				if cut := 1 + at%max(size, 1); size > 1 && cut < size && len(stream) >= 5+size {
					two := append([]byte{stream[0], 3, 3, byte(cut >> 8), byte(cut)}, stream[5:5+cut]...)
					two = append(two, stream[0], 3, 3, byte((size-cut)>>8), byte(size-cut))
					stream = append(two, stream[5+cut:]...)
				}
			}
		}
	}
	return stream
}

// FuzzGate mangles what a client or a server sends: the handshake ends in any case, and when it succeeds what the peer
// sends behind it is read, or refused by the record layer.
func FuzzGate(f *testing.F) {
	f.Add([]byte{}, uint8(0), false, false, false)
	f.Add([]byte{}, uint8(0), false, false, true)
	f.Add([]byte{5, 100, 0}, uint8(1), false, true, false)
	f.Add([]byte{5, 100, 0}, uint8(1), false, true, true)
	f.Add([]byte{0, 250, 1}, uint8(7), true, false, false)
	f.Add([]byte{0, 250, 1}, uint8(7), true, false, true)
	f.Add([]byte{1, 200, 0}, uint8(0), true, true, false)
	f.Add([]byte{1, 200, 0}, uint8(0), true, true, true)
	f.Add([]byte{2, 255, 22, 4, 128, 80}, uint8(3), false, false, false)
	f.Add([]byte{2, 255, 22, 4, 128, 80}, uint8(3), false, false, true)
	server := newServer(f, ServerOptions{Tickets: RandomTickets()})
	f.Fuzz(func(t *testing.T, script []byte, chunk uint8, old, late, dial bool) {
		b := newBench(t, PoolOptions{InFlight: 1})
		version := uint16(tls.VersionTLS13)
		if old {
			version = tls.VersionTLS12
		}
		speak := func(c *tls.Conn) error {
			c.Write(ping)
			c.Read(make([]byte, 1))
			return nil
		}
		var s *session
		var done <-chan error
		if dial {
			client := newClient(t, ClientOptions{
				ServerName: "example.com", Roots: theWorld().roots, MaxVersion: version,
				Curves: []tls.CurveID{tls.X25519},
			})
			s, done = b.dial(client, theWorld().upstream(), speak)
		} else {
			config := theWorld().client()
			config.CurvePreferences, config.ClientSessionCache = []tls.CurveID{tls.X25519}, nil
			config.MaxVersion = version
			s, done = b.serve(server, config, speak)
		}
		s.chunk = int(chunk)
		part := 0
		s.mangle = func(p []byte) []byte {
			if part++; late == (part == 1) {
				return p
			}
			return mangle(p, script)
		}
		// One of these comes: the outcome; or we wait for bytes that were taken away, and the peer for an
		// answer to those that were.
		s.until("something comes of it", func() bool {
			if s.outcome != nil || part == 0 {
				return s.outcome != nil
			}
			if part > 1 || len(script) >= 3 && !late {
				s.c.EOF()
			}
			return false
		})
		if o := s.outcome; o.Err == nil && s.layer != nil {
			s.wire.cut()
			<-done
			gone := make(chan error, 1)
			gone <- nil
			done = gone
			s.turn()
			if s.fault == "" && !bytes.HasPrefix(ping, s.plain) {
				t.Fatalf("read %q, which nobody wrote", s.plain)
			}
		} else if o.Reason == OK || o.Reason == Internal && len(script) < 3 {
			t.Fatalf("%+v", o)
		}
		s.end(done)
	})
}
