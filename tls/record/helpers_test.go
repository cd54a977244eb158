package record

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	mrand "math/rand/v2"
	"testing"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// suites are all that have a record layer here, one for each way a record can look and each cipher.
var suites = []struct {
	name    string
	version uint16
	id      uint16
}{
	{"1.3 AES-128-GCM", tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256},
	{"1.3 AES-256-GCM", tls.VersionTLS13, tls.TLS_AES_256_GCM_SHA384},
	{"1.3 ChaCha20-Poly1305", tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256},
	{"1.2 AES-128-GCM", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	{"1.2 AES-256-GCM", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	{"1.2 ChaCha20-Poly1305", tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
}

// random is n random bytes, different in each run: no two tests may share a key.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// pair is a connection between two Layers, without a handshake.
func pair(tb testing.TB, id uint16) (client, server *Layer) {
	tb.Helper()
	client, server = new(Layer), new(Layer)
	if f, err := family13(id); err == nil {
		cs, ss := random(f.hashLen()), random(f.hashLen())
		for _, l := range []*Layer{client, server} {
			k, err := NewKeys13(id, l == client, cs, ss, nil)
			if err != nil {
				tb.Fatal(err)
			}
			l.Start(k)
		}
		return client, server
	}
	f, err := family12(id)
	if err != nil {
		tb.Fatal(err)
	}
	master, seed := random(48), random(64)
	for _, l := range []*Layer{client, server} {
		k, err := expand12(f, l == client, master, seed)
		if err != nil {
			tb.Fatal(err)
		}
		k.read.seq, k.write.seq = 1, 1
		l.Start(k)
	}
	return client, server
}

// forSuites runs a test for each suite, with a pair of its own.
func forSuites(t *testing.T, test func(t *testing.T, client, server *Layer)) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			client, server := pair(t, s.id)
			test(t, client, server)
		})
	}
}

// raw seals one record of any type and content, which no Layer would send.
func raw(l *Layer, typ contentType, content []byte) []byte {
	at := l.write.form.before()
	b := make([]byte, at+len(content)+Tailroom)
	copy(b[at:], content)
	_, end := l.write.seal(b, at, len(content), typ)
	return b[:end]
}

// sealed is data as records, made by SealTo.
func sealed(tb testing.TB, l *Layer, data []byte) []byte {
	tb.Helper()
	out, took, refusal := l.SealTo(make([]byte, 0, 2*len(data)+256), [][]byte{data}, 1)
	if refusal != Sealed || took != len(data) {
		tb.Fatalf("sealed %d of %d bytes: %v", took, len(data), refusal)
	}
	return out
}

// reader follows the package comment: it opens what lies whole in a buffer and gathers what does not.
type reader struct {
	layer  *Layer
	gather Gather
	memory [MaxRecord]byte
	plain  []byte // all data so far
	quiet  int
}

// feed takes one received buffer, which it writes to, and returns the last result.
func (r *reader) feed(b []byte) Result {
	for {
		if r.gather.Len() > 0 {
			took, whole := r.gather.Add(r.memory[:], b)
			b = b[took:]
			if !whole {
				return Result{Kind: NeedMore}
			}
			rec := r.memory[:r.gather.Len()]
			res := r.layer.Open(rec)
			r.gather.Reset()
			if r.note(rec, res) {
				return res
			}
			if res.N != len(rec) {
				panic(fmt.Sprintf("opening %d gathered bytes took %d: %v", len(rec), res.N, res.Kind))
			}
			continue
		}
		res := r.layer.Open(b)
		if res.Kind == NeedMore {
			r.gather.Add(r.memory[:], b)
			return res
		}
		if r.note(b, res) {
			return res
		}
		b = b[res.N:]
	}
}

func (r *reader) note(b []byte, res Result) (final bool) {
	switch res.Kind {
	case Data:
		r.plain = append(r.plain, b[res.Off:res.Off+res.Len]...)
		return false
	case Quiet:
		r.quiet++
		return false
	}
	return true
}

// feedSplit feeds a copy of b in pieces of random length.
func (r *reader) feedSplit(rng *mrand.Rand, b []byte, longest int) Result {
	var res Result
	for len(b) > 0 {
		n := min(len(b), 1+rng.IntN(longest))
		if res = r.feed(bytes.Clone(b[:n])); res.Kind > Quiet {
			return res
		}
		b = b[n:]
	}
	return res
}

// opens checks that the records in b yield data and nothing else.
func opens(t *testing.T, l *Layer, b, data []byte) {
	t.Helper()
	r := reader{layer: l}
	if res := r.feed(bytes.Clone(b)); res.Kind != NeedMore {
		t.Fatalf("open: %v %v", res.Kind, res.Alert)
	}
	if !bytes.Equal(r.plain, data) {
		t.Fatalf("opened %d bytes that are not the %d sealed", len(r.plain), len(data))
	}
}

// faults checks that Open answers b with a fault, the same each time it is asked.
func faults(t *testing.T, l *Layer, b []byte, want alert.Alert) {
	t.Helper()
	r := reader{layer: l}
	res := r.feed(bytes.Clone(b))
	if res.Kind != Fault || res.Alert != want {
		t.Fatalf("open: %v %v, want fault %v", res.Kind, res.Alert, want)
	}
	if len(r.plain) > 0 {
		t.Fatalf("yielded %d bytes", len(r.plain))
	}
	if again := l.Open(make([]byte, 100)); again.Kind != Fault || again.Alert != want || again.N != 0 {
		t.Fatalf("asked again: %+v", again)
	}
}
