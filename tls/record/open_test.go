package record

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// TestSplits feeds a stream cut in two at every byte, and byte by byte.
func TestSplits(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		var stream, want []byte
		for _, n := range []int{1, 0, 300, 2} {
			data := random(n)
			want = append(want, data...)
			if n == 0 {
				stream = append(stream, raw(client, typeData, nil)...)
				continue
			}
			stream = append(stream, sealed(t, client, data)...)
		}
		stream = client.Alert(slices.Grow(stream, ControlRoom), alert.CloseNotify)
		start := *server
		check := func(what string, r *reader, res Result) {
			t.Helper()
			if res.Kind != Closed || !bytes.Equal(r.plain, want) || !r.layer.PeerClosed() || r.quiet != 1 {
				t.Fatalf("%s: %v %v, %d of %d bytes, %d quiet", what, res.Kind, res.Alert, len(r.plain), len(want),
					r.quiet)
			}
		}
		for at := 1; at < len(stream); at++ {
			*server = start // a reader may be copied, a writer not
			r := &reader{layer: server}
			if res := r.feed(bytes.Clone(stream[:at])); res.Kind != NeedMore {
				t.Fatalf("first %d of %d bytes: %v %v", at, len(stream), res.Kind, res.Alert)
			}
			if server.PeerClosed() {
				t.Fatal("a truncated stream passes for a closed one")
			}
			check("split", r, r.feed(bytes.Clone(stream[at:])))
		}
		*server = start
		r := &reader{layer: server}
		var res Result
		for _, c := range stream {
			res = r.feed([]byte{c})
		}
		check("byte by byte", r, res)
		if res := server.Open(make([]byte, 77)); res.Kind != Closed || res.N != 77 {
			t.Errorf("bytes behind close_notify: %+v, want them ignored", res)
		}
	})
}

// TestNeed checks what Open asks for when the record is not complete.
func TestNeed(t *testing.T) {
	client, server := pair(t, suites[0].id)
	rec := sealed(t, client, random(1000))
	for n := range rec {
		res := server.Open(rec[:n])
		want := headerLen
		if n >= headerLen {
			want = len(rec)
		}
		if res != (Result{Kind: NeedMore, Need: want}) {
			t.Fatalf("%d bytes: %+v, want %d needed", n, res, want)
		}
	}
}

// TestTampering changes every byte of a record, and every bit of its header.
func TestTampering(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		start := *server
		rec := sealed(t, client, random(40))
		v13 := server.read.form == form13
		try := func(at int, change byte) {
			t.Helper()
			*server = start
			bad := append(bytes.Clone(rec), make([]byte, MaxRecord)...) // so that no length makes it wait
			bad[at] ^= change
			want := alert.BadRecordMAC
			switch n := bodyLen(bad); {
			case v13 && at == 0:
				want = alert.UnexpectedMessage
			case n > MaxPlaintext+bodyLen(rec)-40:
				want = alert.RecordOverflow
			}
			faults(t, server, bad[:max(len(rec), min(len(bad), headerLen+bodyLen(bad)))], want)
		}
		for at := range rec {
			try(at, 0xff)
			try(at, 1)
		}
		for at := range headerLen {
			for bit := range 8 {
				try(at, 1<<bit)
			}
		}
		*server = start
		faults(t, server, []byte{byte(typeData), 3, 3, 0, 3, 1, 2, 3}, alert.BadRecordMAC)
	})
}

func TestReplayAndReorder(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		start := *server
		first, second := sealed(t, client, []byte("first")), sealed(t, client, []byte("second"))
		faults(t, server, second, alert.BadRecordMAC)
		*server = start
		opens(t, server, first, []byte("first"))
		faults(t, server, first, alert.BadRecordMAC)
		*server = start
		opens(t, server, first, []byte("first"))
		opens(t, server, second, []byte("second"))
		faults(t, client, second, alert.BadRecordMAC) // reflected
	})
}

// TestOversize refuses by the header alone, before a byte more has come.
func TestOversize(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		around := client.write.form.before() - headerLen + client.write.form.after()
		largest := random(MaxPlaintext)
		opens(t, server, raw(client, typeData, largest), largest)
		header := []byte{byte(typeData), 3, 3, 0, 0}
		binary.BigEndian.PutUint16(header[3:], uint16(MaxPlaintext+around+1))
		faults(t, server, header, alert.RecordOverflow)
		var g Gather
		var memory [MaxRecord]byte
		binary.BigEndian.PutUint16(header[3:], math.MaxUint16)
		if took, whole := g.Add(memory[:], header); took != headerLen || !whole {
			t.Errorf("gathering a record that is too long took %d, whole %v", took, whole)
		}
	})
}

// TestPadding strips zeros of any number behind the inner content type (RFC 8446, section 5.4).
func TestPadding(t *testing.T) {
	client, server := pair(t, suites[0].id)
	for _, pad := range []int{0, 1, 7, 8, 9, 64, MaxPlaintext - 5} {
		typ, inner := typeData, []byte("data\x00")
		if pad > 0 { // what raw adds as the type is then a zero of the padding
			typ, inner = 0, append(append(inner, byte(typeData)), make([]byte, pad-1)...)
		}
		rec := raw(client, typ, inner)
		opens(t, server, rec, []byte("data\x00"))
	}
	faults(t, server, raw(client, 0, make([]byte, 500)), alert.UnexpectedMessage)
}

func TestEmptyRecords(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		for range 3 {
			for range idleRecords {
				opens(t, server, raw(client, typeData, nil), nil)
			}
			opens(t, server, sealed(t, client, []byte("x")), []byte("x"))
		}
		for range idleRecords {
			opens(t, server, raw(client, typeData, nil), nil)
		}
		faults(t, server, raw(client, typeData, nil), alert.UnexpectedMessage)
	})
}

func TestAlerts(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		start := *server
		v13 := server.read.form == form13
		for _, c := range []struct {
			content []byte
			want    Result
		}{
			{[]byte{1, 0}, Result{Kind: Closed}},
			{[]byte{2, 0}, Result{Kind: Closed}},
			{[]byte{2, 20}, Result{Kind: PeerAlert, Alert: alert.BadRecordMAC}},
			{[]byte{2, 255}, Result{Kind: PeerAlert, Alert: 255}},
			{nil, Result{Kind: Fault, Alert: alert.DecodeError}},
			{[]byte{1}, Result{Kind: Fault, Alert: alert.DecodeError}},
			{[]byte{1, 0, 1, 0}, Result{Kind: Fault, Alert: alert.DecodeError}},
			{[]byte{1, 90}, Result{Kind: Quiet}},
			{[]byte{1, 100}, either(v13, Result{Kind: PeerAlert, Alert: alert.NoRenegotiation}, Result{Kind: Quiet})},
			{[]byte{3, 40}, either(v13, Result{Kind: PeerAlert, Alert: 40},
				Result{Kind: Fault, Alert: alert.IllegalParameter})},
		} {
			*server = start
			server.read.seq = client.write.seq
			rec := raw(client, typeAlert, c.content)
			res := server.Open(rec)
			c.want.N = len(rec)
			if res != c.want {
				t.Errorf("alert %v: %+v, want %+v", c.content, res, c.want)
			}
			if final := server.Open(make([]byte, 50)); res.Kind != Quiet && final.Kind != res.Kind {
				t.Errorf("alert %v: %v, and then %v", c.content, res.Kind, final.Kind)
			}
		}
		if a := alert.DecodeError.String() + alert.Alert(7).String(); a != "decode_erroralert 7" {
			t.Error(a)
		}
	})
}

func either(first bool, a, b Result) Result {
	if first {
		return a
	}
	return b
}

// TestUnexpectedRecords sends types that have no place behind a handshake.
func TestUnexpectedRecords(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		start := *server
		for _, typ := range []contentType{0, 19, typeChangeCipherSpec, typeHandshake, 24, 255} {
			if typ == 0 && server.read.form == form13 {
				continue // a type of zero is padding
			}
			*server = start
			server.read.seq = client.write.seq
			content := []byte{1}
			if typ == typeHandshake {
				content = nil
			}
			faults(t, server, raw(client, typ, content), alert.UnexpectedMessage)
		}
		*server = start
		if server.read.form == form13 {
			faults(t, server, []byte{byte(typeChangeCipherSpec), 3, 3, 0, 1, 1}, alert.UnexpectedMessage)
			*server = start
			faults(t, server, []byte{byte(typeAlert), 3, 3, 0, 2, 1, 0}, alert.UnexpectedMessage)
		}
	})
}

// TestReadSequenceEnd refuses the record whose number would be the last of all.
func TestReadSequenceEnd(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		client.write.seq, server.read.seq = math.MaxUint64-1, math.MaxUint64-1
		opens(t, server, raw(client, typeData, []byte("x")), []byte("x"))
		faults(t, server, raw(client, typeData, []byte("x")), alert.InternalError)
	})
}
