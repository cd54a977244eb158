package record

import (
	"bytes"
	"testing"
)

// FuzzOpen gives a Layer bytes that are no records, and records that are cut, changed, left out, repeated or put in
// another order. Whatever it yields must be what was sealed, from the beginning on, and it must end with the first
// fault.
//
// The script is a list of operations of three bytes.
func FuzzOpen(f *testing.F) {
	f.Add(byte(0), []byte{0, 10, 0, 0, 200, 3, 5, 0, 0, 5, 1, 1})
	f.Add(byte(1), []byte{1, 1, 0, 0, 9, 9, 2, 0, 0, 0, 9, 9, 5, 0, 0})
	f.Add(byte(2), []byte{3, 0, 7, 0, 1, 2, 5, 0, 1, 4, 3, 200, 5, 0, 0})
	f.Add(byte(3), []byte{0, 3, 2, 6, 7, 1, 5, 0, 0, 7, 0, 0, 5, 0, 3})
	f.Add(byte(4), []byte{0, 3, 2, 0, 7, 1, 8, 0, 1, 5, 0, 0, 0, 1, 1, 5, 0, 0})
	f.Add(byte(5), []byte{0, 3, 2, 9, 4, 4, 5, 0, 0})
	f.Fuzz(func(t *testing.T, which byte, script []byte) {
		client, server := pair(t, suites[int(which)%len(suites)].id)
		script = script[:min(len(script), 300)]
		z := fuzzed{client: client, r: reader{layer: server}}
		for ; len(script) >= 3; script = script[3:] {
			z.step(t, script[0]%10, script[1], script[2])
		}
		z.deliver(t, len(z.stream))
	})
}

type fuzzed struct {
	client *Layer
	r      reader
	want   []byte   // all that was sealed
	recs   [][]byte // sealed and not in the stream yet
	stream []byte   // what the server has not been given yet
	over   *Result
}

// step does one operation with two arguments.
func (z *fuzzed) step(t *testing.T, op, a, b byte) {
	switch op {
	case 0: // data
		data := bytes.Repeat([]byte{a ^ byte(len(z.want)), b}, 1+(int(a)<<8|int(b))%9000)
		z.want = append(z.want, data...)
		z.recs = append(z.recs, sealed(t, z.client, data))
	case 1: // a record of any other type; in TLS 1.3 none means that the last byte of the content is one
		if contentType(a) != typeData && a != 0 {
			z.recs = append(z.recs, raw(z.client, contentType(a), bytes.Repeat([]byte{b}, int(b)%7)))
		}
	case 2: // a key update; in TLS 1.2 that is a fault
		z.recs = append(z.recs, raw(z.client, typeHandshake, update(a%3)))
		if z.client.write.form == form13 && z.client.write.update() != nil {
			t.Fatal("no next key")
		}
	case 3: // another order
		if n := len(z.recs); n > 1 {
			i, j := int(a)%n, int(b)%n
			z.recs[i], z.recs[j] = z.recs[j], z.recs[i]
		}
	case 4: // change a byte
		if len(z.stream) > 0 {
			z.stream[(int(a)<<8|int(b))%len(z.stream)] ^= a | 1
		}
	case 5: // send what is sealed, give some of it
		z.stream = append(z.stream, bytes.Join(z.recs, nil)...)
		z.recs = nil
		z.deliver(t, len(z.stream)*int(b)/255)
	case 6: // leave one out
		if n := len(z.recs); n > 0 {
			z.recs = append(z.recs[:int(a)%n], z.recs[int(a)%n+1:]...)
		}
	case 7: // repeat one
		if n := len(z.recs); n > 0 {
			z.recs = append(z.recs, z.recs[int(a)%n])
		}
	case 8: // bytes that nobody sealed
		z.stream = append(z.stream, a, b)
	case 9: // cut the end off
		z.stream = z.stream[:len(z.stream)*int(a)/255]
	}
}

// deliver gives the server n bytes and looks at what it makes of them.
func (z *fuzzed) deliver(t *testing.T, n int) {
	res := z.r.feed(bytes.Clone(z.stream[:n]))
	z.stream = z.stream[n:]
	if !bytes.HasPrefix(z.want, z.r.plain) {
		t.Fatalf("yielded %d bytes that are not the first of the %d sealed", len(z.r.plain), len(z.want))
	}
	if z.over != nil && (res.Kind != z.over.Kind || res.Alert != z.over.Alert) {
		t.Fatalf("%v %v after %v %v", res.Kind, res.Alert, z.over.Kind, z.over.Alert)
	}
	if res.Kind > Quiet {
		z.over = &res
	}
}
