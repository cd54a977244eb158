package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// kinds are the streams of a simCrowd, by what they have TLS on, and the names by which clients ask for them. Where the
// client's TLS does not end here, its hello is the beginning of what is passed on.
var kinds = []struct {
	name string
	sides
}{
	{"plain.example.com", sides{}},
	{"client.example.com", sides{client: true}},
	{"upstream.example.com", sides{upstream: true}},
	{"both.example.com", sides{client: true, upstream: true}},
}

// kindsOf gives a listener the streams of all kinds. Far is a service for streams, secured another whose endpoints are
// spoken to over TLS.
func kindsOf(t testing.TB, snap *plan.Snapshot, far, secured plan.Service) {
	t.Helper()
	var routes []routing.Route
	snap.Streams = nil
	for i, k := range kinds {
		expr, err := rule.ParseStream("SNI(`" + k.name + "`)")
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, routing.Route{Name: k.name, Rule: expr, Target: i})
		s := plan.Stream{Name: k.name, ID: uint32(i), Service: 1, Terminate: k.client}
		if k.upstream {
			s.Service = 2
		}
		snap.Streams = append(snap.Streams, s)
	}
	table, err := routing.CompileStreams(routes)
	if err != nil {
		t.Fatal(err)
	}
	snap.Listeners[0].Streams = table
	snap.Services = append(snap.Services[:1:1], far, secured)
}

// ending is how an end of a stream ends what it sends.
type ending uint8

const (
	endsAtOnce  ending = iota // when it has sent all
	endsAfter                 // when it has, and the other end's stream has ended
	endsByReset               // by a reset, at a point of its own
	endsCutOff                // by an end of the connection's stream without close_notify, there
)

// streamTag is how many bytes each end begins with to tell which it is.
const streamTag = 4

// streamEnd is what one end of a stream says and hears.
type streamEnd struct {
	id     uint32
	kind   int // of a client
	near   bool
	sealed bool // it is spoken to over TLS

	whole, out, in []byte // what it says, of that what is left, and what it has heard
	ending         ending
	breakAt        int   // it breaks when so much is left
	err            error // how the other's stream has ended
}

// streamNoise is what all of them say parts of.
var streamNoise = sync.OnceValue(func() []byte { return noise(1<<20, 1) })

// newStreamEnd makes an end that says its tag and n bytes more, which is at most half of the noise.
func newStreamEnd(id uint32, near bool, how ending, n int) streamEnd {
	e := streamEnd{id: id, near: near, ending: how}
	all := streamNoise()
	from := int(id*7919) % (len(all) / 2)
	e.whole = append(binary.BigEndian.AppendUint32(nil, id), all[from:from+n+1]...)
	e.out = e.whole
	return e
}

// saysFirst puts a hello, in which there is no TLS for us, before all else.
func (e *streamEnd) saysFirst(hello []byte) {
	e.whole = append(bytes.Clone(hello), e.whole...)
	e.out = e.whole
}

// heard is what an end has received of the other's own, and which that is; -1: that much has not come.
func (e *streamEnd) heard() (other int, whole []byte) {
	in := e.in
	if !e.near && len(in) >= 5 && in[0] == 22 {
		in = in[min(len(in), 5+int(binary.BigEndian.Uint16(in[3:]))):]
	}
	if len(in) < streamTag {
		return -1, e.in
	}
	return int(binary.BigEndian.Uint32(in)), e.in
}

// verdict says what is wrong with what has come to an end that is over, or with how it ended.
func (e *streamEnd) verdict(all []*streamEnd) string {
	i, in := e.heard()
	if i < 0 {
		if errors.Is(e.err, io.EOF) {
			return "ended in order before the other has begun"
		}
		return ""
	}
	if i >= len(all) || all[i].near == e.near {
		return "hears of an end that there is not"
	}
	o := all[i]
	cut := o.ending >= endsByReset && (o.ending == endsByReset || o.sealed)
	switch calm := e.ending < endsByReset && o.ending < endsByReset; {
	case !bytes.HasPrefix(o.whole, in):
		return "has received what was not sent"
	case errors.Is(e.err, io.EOF) && cut:
		return "the other was cut off, and it looks as if all had been said"
	case errors.Is(e.err, io.EOF) && len(in) < len(o.whole)-len(o.out):
		return "ended in order, though something is missing"
	case calm && (!errors.Is(e.err, io.EOF) || len(in) < len(o.whole)):
		return "has not received all that was sent in order"
	}
	return ""
}
