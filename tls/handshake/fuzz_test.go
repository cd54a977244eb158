package handshake

import (
	"bytes"
	"crypto/tls"
	"testing"
)

// mangle changes a client's stream as a script of three bytes a step says: what, where, how.
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

// FuzzGate mangles what a client sends: the handshake ends in any case, and when it succeeds what the client sends
// behind it is read, or refused by the record layer.
func FuzzGate(f *testing.F) {
	f.Add([]byte{}, uint8(0), false, false)
	f.Add([]byte{5, 100, 0}, uint8(1), false, true)
	f.Add([]byte{0, 250, 1}, uint8(7), true, false)
	f.Add([]byte{1, 200, 0}, uint8(0), true, true)
	f.Add([]byte{2, 255, 22, 4, 128, 80}, uint8(3), false, false)
	server := newServer(f, ServerOptions{Tickets: RandomTickets()})
	f.Fuzz(func(t *testing.T, script []byte, chunk uint8, old, late bool) {
		b := newBench(t, PoolOptions{InFlight: 1})
		config := theWorld().client()
		config.CurvePreferences = []tls.CurveID{tls.X25519}
		config.ClientSessionCache = nil
		if old {
			config.MaxVersion = tls.VersionTLS12
		}
		s, done := b.serve(server, config, func(c *tls.Conn) error {
			c.Write(ping)
			c.Read(make([]byte, 1))
			return nil
		})
		s.chunk = int(chunk)
		part := 0
		s.mangle = func(p []byte) []byte {
			if part++; late == (part == 1) {
				return p
			}
			return mangle(p, script)
		}
		// One of these comes: the outcome; or the server waits for bytes that were taken away, and the client for an
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
