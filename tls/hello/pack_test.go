package hello

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
)

// normal is o with nothing in the place of what is empty.
func normal(o *Offer) Offer {
	n := Offer{Version: o.Version}
	if len(o.SNI) > 0 {
		n.SNI = o.SNI
	}
	if len(o.JA4) > 0 {
		n.JA4 = o.JA4
	}
	if len(o.Suites) > 0 {
		n.Suites = slices.Clone(o.Suites)
	}
	for _, name := range o.ALPN {
		n.ALPN = append(n.ALPN, name)
	}
	return n
}

func TestPack(t *testing.T) {
	long := bytes.Repeat([]byte{'a'}, maxName)
	many, suites := make([][]byte, MaxProtocols), make([]uint16, MaxSuites)
	for i := range many {
		many[i] = bytes.Repeat([]byte{byte(i)}, 1+i)
	}
	for i := range suites {
		suites[i] = uint16(i * 127)
	}
	var board Board
	for _, o := range []Offer{
		{},
		{SNI: []byte("example.com"), Version: VersionTLS12, Suites: []uint16{0x1301}},
		{ALPN: [][]byte{[]byte("h2"), []byte("http/1.1")}, Version: VersionTLS13, Suites: []uint16{1, 2, 0xffff}},
		{SNI: long, ALPN: many, Suites: suites, JA4: long[:JA4Bytes]},
	} {
		packed := o.Pack(nil)
		if len(packed) != o.PackedLen() {
			t.Errorf("%d bytes, and PackedLen says %d", len(packed), o.PackedLen())
		}
		got, ok := board.Unpack(packed)
		if !ok || !reflect.DeepEqual(normal(got), normal(&o)) {
			t.Errorf("unpacked %+v, want %+v", got, o)
		}
		for n := range len(packed) {
			board.Unpack(packed[:n])
		}
		room := make([]byte, 0, len(packed))
		if n := testing.AllocsPerRun(10, func() {
			board.Unpack(o.Pack(room))
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// FuzzPack has an offer come back as it went, from whatever hello, and gives Unpack bytes that Pack never wrote.
func FuzzPack(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		var shown, other Board
		if o, ok := other.Unpack(s); ok {
			if again := o.Pack(nil); !bytes.Equal(again, s) {
				t.Fatalf("% x unpacks, and is packed as % x", s, again)
			}
		}
		h, message, _, code := read(s)
		if code != OK {
			return
		}
		o := shown.Show(&h, message, true)
		packed := o.Pack(nil)
		if len(packed) != o.PackedLen() || len(packed) > MaxPacked {
			t.Fatalf("%d bytes, and PackedLen says %d", len(packed), o.PackedLen())
		}
		got, ok := other.Unpack(packed)
		if !ok || !reflect.DeepEqual(normal(got), normal(o)) {
			t.Fatalf("unpacked %+v, want %+v", got, o)
		}
	})
}
