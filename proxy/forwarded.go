package proxy

import (
	"encoding/binary"
	"strconv"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/h1"
)

// forwardingFields puts together the header lines that tell the upstream about the client, and marks the fields that
// they replace. What an untrusted client says of itself in such fields is dropped: an upstream must be able to believe
// them. The result is valid until the next call.
func (w *Worker) forwardingFields(l *link, x *exchange, snap *plan.Snapshot) []byte {
	head := w.mem.Bytes(x.head.span)
	trusted := l.has(flagTrusted)
	fw := &snap.Forward
	var seen forwardingSeen
	for i := range int(x.req.N) {
		if f := &x.req.Fields[i]; f.ID >= h1.FieldXForwardedFor && f.ID <= h1.FieldVia {
			seen.note(f, i, trusted, fw)
		}
	}
	b := w.additions[:0]
	switch {
	case x.req.Authority.Len == 0:
		if i, ok := x.req.Get(h1.FieldHost); ok { // there, but empty
			x.req.Fields[i].Flags |= h1.FieldDrop
		}
		b = appendHost(b, &snap.Services[x.service])
	case x.req.Form == h1.FormAuthority:
		if _, ok := x.req.Get(h1.FieldHost); !ok { // a CONNECT of HTTP/1.0
			b = append(append(append(b, "Host: "...), x.req.Authority.In(head)...), "\r\n"...)
		}
	}
	if fw.XForwarded {
		b = w.appendXForwarded(b, l, x, head, &seen)
	}
	if fw.Forwarded {
		b = w.appendForwarded(b, l, x, head, &seen)
	}
	if fw.RequestID {
		b = w.appendRequestID(b, x, head, &seen)
	}
	if fw.Via {
		b = append(b, "Via: "...)
		b = appendList(b, x, head, h1.FieldVia, seen.via)
		b = append(b, '1', '.', '0'+x.req.Minor)
		b = append(b, " uringproxy\r\n"...)
	}
	if snap.Vouches || l.has(flagSecure) {
		b = w.certificateFields(b, l, x, snap, head)
	}
	if x.has(exOffer) {
		b = w.appendOffer(b, x, head)
	}
	w.additions = b[:0]
	return b
}

// appendHost writes the Host field that HTTP/1.1 demands for a request of HTTP/1.0 without one: the service's first
// address.
func appendHost(b []byte, svc *plan.Service) []byte {
	b = append(b, "Host: "...)
	if ep := &svc.Endpoints[0]; ep.Unix == "" {
		b = ep.Addr.AppendTo(b)
	} else {
		b = append(b, "localhost"...)
	}
	return append(b, "\r\n"...)
}

// forwardingSeen says which forwarding fields came with the request and are believed.
type forwardingSeen struct{ xff, proto, host, port, forwarded, requestID, via bool }

func (s *forwardingSeen) note(f *h1.Field, i int, trusted bool, fw *plan.Forward) {
	drop := !trusted
	switch f.ID {
	case h1.FieldXForwardedFor:
		s.xff, drop = trusted, drop || fw.XForwarded
	case h1.FieldXForwardedProto:
		s.proto = trusted
	case h1.FieldXForwardedHost:
		s.host = trusted
	case h1.FieldXForwardedPort:
		s.port = trusted
	case h1.FieldForwarded:
		s.forwarded, drop = trusted, drop || fw.Forwarded
	case h1.FieldXRealIP:
	case h1.FieldXRequestID:
		drop = fw.RequestID
		s.requestID = trusted
	case h1.FieldVia: // a list of proxies, nobody's identity: always continued
		drop, s.via = fw.Via, true
	default:
		return
	}
	if drop {
		f.Flags |= h1.FieldDrop
	}
}

func (w *Worker) appendXForwarded(b []byte, l *link, x *exchange, head []byte, seen *forwardingSeen) []byte {
	b = append(b, "X-Forwarded-For: "...)
	if seen.xff {
		b = appendList(b, x, head, h1.FieldXForwardedFor, true)
	}
	b = append(appendAddr(b, l), "\r\n"...)
	if !seen.proto {
		b = append(append(append(b, "X-Forwarded-Proto: "...), scheme(l)...), "\r\n"...)
	}
	if host := x.req.Authority.In(head); !seen.host && len(host) > 0 {
		b = append(b, "X-Forwarded-Host: "...)
		b = append(append(b, host...), "\r\n"...)
	}
	if port := w.destinationPort(l); !seen.port && port != 0 {
		b = append(b, "X-Forwarded-Port: "...)
		b = append(strconv.AppendUint(b, uint64(port), 10), "\r\n"...)
	}
	return b
}

// appendForwarded writes the element of RFC 7239, section 4, for this hop.
func (w *Worker) appendForwarded(b []byte, l *link, x *exchange, head []byte, seen *forwardingSeen) []byte {
	b = append(b, "Forwarded: "...)
	if seen.forwarded {
		b = appendList(b, x, head, h1.FieldForwarded, true)
	}
	b = append(b, "for="...)
	if l.ip6 { // section 6: an IPv6 address is bracketed and quoted
		b = append(b, '"', '[')
		b = append(appendAddr(b, l), ']', '"')
	} else {
		b = appendAddr(b, l)
	}
	if host := x.req.Authority.In(head); len(host) > 0 { // a valid authority needs no escaping in a quoted string
		b = append(b, `;host="`...)
		b = append(append(b, host...), '"')
	}
	return append(append(append(b, ";proto="...), scheme(l)...), "\r\n"...)
}

// scheme is that of the requests on a client's connection.
func scheme(l *link) string {
	if l.has(flagSecure) {
		return "https"
	}
	return "http"
}

// appendList writes the values that a list field has come with, each followed by ", ".
func appendList(b []byte, x *exchange, head []byte, id h1.FieldID, present bool) []byte {
	if !present {
		return b
	}
	for i := range int(x.req.N) {
		if f := &x.req.Fields[i]; f.ID == id && f.Value.Len > 0 {
			b = append(b, f.Value.In(head)...)
			b = append(b, ", "...)
		}
	}
	return b
}

// appendAddr writes the client's address; "unknown" for a unix socket's (RFC 7239, section 6.2).
func appendAddr(b []byte, l *link) []byte {
	if a := clientAddr(l).Addr(); a.IsValid() {
		return a.AppendTo(b)
	}
	return append(b, "unknown"...)
}

const (
	requestIDLen = 32 // of an id that we make: 128 bits in hexadecimal
	requestIDMax = 64 // of one that we take over from a trusted client
)

func (w *Worker) appendRequestID(b []byte, x *exchange, head []byte, seen *forwardingSeen) []byte {
	var theirs []byte
	if seen.requestID {
		if i, ok := x.req.Get(h1.FieldXRequestID); ok {
			theirs = x.req.Fields[i].Value.In(head)
		}
	}
	if isRequestID(theirs) {
		x.requestIDLen = uint8(copy(x.requestID[:], theirs))
	} else {
		w.makeRequestID(x)
	}
	b = append(b, "X-Request-Id: "...)
	return append(append(b, x.requestID[:x.requestIDLen]...), "\r\n"...)
}

// isRequestID reports whether id may be taken over. It is written into replies and logs, so it has only characters that
// mean nothing there.
func isRequestID(id []byte) bool {
	for _, c := range id {
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@':
		default:
			return false
		}
	}
	return len(id) > 0 && len(id) <= requestIDMax
}

func (w *Worker) makeRequestID(x *exchange) {
	w.ids.next((*[requestIDLen]byte)(x.requestID[:]))
	x.requestIDLen = requestIDLen
}

// idSource makes request ids: xoshiro256**, seeded from the system's random source. They are unique, not secret.
type idSource struct{ s [4]uint64 }

func newIDSource(seed [4]uint64) idSource {
	seed[0] |= 1 // the state must not be all zero
	return idSource{seed}
}

func (g *idSource) uint64() uint64 {
	s := &g.s
	r := s[1] * 5
	r = (r<<7 | r>>57) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = s[3]<<45 | s[3]>>19
	return r
}

// next writes a new id in hexadecimal. Eight digits are made at a time: the nibbles of a word are spread to bytes, and
// those above nine get the distance from ':' to 'a' added.
func (g *idSource) next(to *[requestIDLen]byte) {
	for i := 0; i < requestIDLen; i += 16 {
		v := g.uint64()
		binary.LittleEndian.PutUint64(to[i:], hex8(uint32(v>>32)))
		binary.LittleEndian.PutUint64(to[i+8:], hex8(uint32(v)))
	}
}

func hex8(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	above9 := ((x + 0x0606060606060606) >> 4) & 0x0101010101010101
	return x + 0x3030303030303030 + above9*('a'-'9'-1)
}
