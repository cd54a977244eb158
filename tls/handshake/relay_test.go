package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"testing"
)

// relayed is a session whose handshake is over, in relay mode.
func relayed(t *testing.T, peer func(*tls.Conn) error) (*session, <-chan error) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 1, Relay: true})
	s, done := b.serve(newServer(t, ServerOptions{}), theWorld().client(), peer)
	if o := s.settled(); o.Err != nil || !o.Relayed || o.Keys != nil || o.Left != nil {
		t.Fatalf("%+v", o)
	}
	return s, done
}

// TestRelayBackPressure has both sides send what nobody reads: each direction takes a bounded number of bytes and no
// more, until it is read.
func TestRelayBackPressure(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	s, done := relayed(t, func(c *tls.Conn) error {
		if _, err := c.Write(data); err != nil {
			return err
		}
		got, err := io.ReadAll(c)
		if err == nil && !bytes.Equal(got, data) {
			err = errors.New("other data")
		}
		return err
	})
	s.hold = true // the session's loop feeds nothing by itself, and s.relay is not asked: this is the shard
	taken, full := 0, 0
	for refused := 0; refused < 50; {
		for p := s.wire.up.front(); len(p) > 0; p = s.wire.up.front() {
			s.stream = append(s.stream, p...)
			s.wire.up.drop(len(p))
			s.wire.waker.wake()
		}
		took := s.c.Feed(s.stream)
		s.stream = s.stream[took:]
		taken += took
		if full = s.c.relay.plain.len(); full == ringBytes && took == 0 {
			refused++
		}
		s.port.Next()
	}
	if most := 4 * ringBytes; taken > most {
		t.Errorf("%d bytes were taken that nobody reads, more than %d", taken, most)
	}
	sent := 0
	for refused := 0; refused < 50; {
		took := s.c.Write(data[sent:])
		sent += took
		if took == 0 && len(s.c.Output()) > 0 && s.c.out.len() == ringBytes {
			refused++
		}
		s.port.Next()
	}
	if most := 4 * ringBytes; sent > most {
		t.Errorf("%d bytes were taken to be sent to somebody who does not read, more than %d", sent, most)
	}
	s.hold = false
	s.sending = data[sent:]
	s.until("all has gone both ways", func() bool { return len(s.sending) == 0 && len(s.plain) == len(data) })
	if !bytes.Equal(s.plain, data) {
		t.Error("other data")
	}
	s.closeWrite()
	s.leave(done)
}

// TestRelayHalfClose has the peer close first, and read on.
func TestRelayHalfClose(t *testing.T) {
	s, done := relayed(t, func(c *tls.Conn) error {
		if err := errors.Join(c.Handshake(), c.CloseWrite()); err != nil {
			return err
		}
		got, err := io.ReadAll(c)
		if err == nil && !bytes.Equal(got, pong) {
			err = errors.New("other data")
		}
		return err
	})
	s.until("the peer has closed", func() bool { return s.closed })
	s.write(pong)
	s.closeWrite()
	s.until("all is sent", func() bool { return len(done) > 0 })
	if err := s.end(done); err != nil || s.fault != "" {
		t.Error(err, s.fault)
	}
}

// TestRelayTruncation has the stream end without close_notify, between two records and within one.
func TestRelayTruncation(t *testing.T) {
	for _, keep := range []int{0, 10} {
		s, done := relayed(t, func(c *tls.Conn) error {
			_, err := c.Write(ping)
			return err
		})
		s.until("ping is there", func() bool { return len(s.plain) == len(ping) && len(done) > 0 })
		s.c.Feed([]byte("\x17\x03\x03\x00\x40 and more")[:keep])
		s.c.EOF()
		s.until("it ends", func() bool { return s.fault != "" })
		if s.fault != errTruncated.Error() || s.closed {
			t.Errorf("ended with %q, closed %v", s.fault, s.closed)
		}
		s.end(done)
	}
}

// TestRelayAlert has the peer's records forged.
func TestRelayAlert(t *testing.T) {
	s, done := relayed(t, heard)
	s.c.Feed([]byte("\x17\x03\x03\x00\x20 thirty-two bytes from a stranger"))
	s.until("it ends", func() bool { return s.fault != "" })
	s.until("the peer hears", func() bool { return len(done) > 0 })
	if err := s.end(done); err == nil || err.Error() != "remote error: tls: bad record MAC" {
		t.Errorf("the peer hears %v, and we %q", err, s.fault)
	}
}
