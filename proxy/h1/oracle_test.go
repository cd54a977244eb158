package h1

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// The fuzz targets hold us to net/http: whatever is accepted here it must accept too, and read in the same way. The
// converse is not wanted. Each also gives the input in two parts.

// sameSplit wants the same result when head comes in two parts.
func sameSplit(t *testing.T, kind string, head []byte, at uint16, want string) {
	t.Helper()
	n := int(at) % (len(head) + 1)
	var p Parser
	resetFor(&p, kind, &Limits{})
	p.Feed(head[:n:n])
	if got := result(&p, p.Feed(head)); got != want {
		t.Fatalf("split at %d: got  %s\nwant %s", n, got, want)
	}
}

func FuzzRequest(f *testing.F) {
	seeds(f, "request", uint16(17))
	f.Fuzz(func(t *testing.T, head []byte, at uint16) {
		var p Parser
		p.ResetRequest(&Limits{})
		code := p.Feed(head)
		sameSplit(t, "request", head, at, result(&p, code))
		if code != OK {
			return
		}
		empty := int(p.MethodRef.Off) // net/http does not know the empty line
		r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(head[empty:p.Len]), 1<<17))
		if err != nil {
			if strings.Contains(err.Error(), "bad trailer key") {
				return // Trailer announces a field that Chunked would refuse
			}
			t.Fatalf("accepted, but net/http says %v: %q", err, head)
		}
		same(t, "method", string(p.MethodRef.In(head)), r.Method)
		same(t, "target", string(p.Target.In(head)), r.RequestURI)
		same(t, "query", string(p.Query.In(head)), r.URL.RawQuery)
		same(t, "minor", int(p.Minor), min(r.ProtoMinor, 1))
		same(t, "keep-alive", p.KeepAlive, !r.Close)
		same(t, "authority", string(p.Authority.In(head)), r.Host)
		if p.Form == FormOrigin && r.URL.Path != decode(p.Path.In(head)) {
			t.Fatalf("path %q, net/http has %q", p.Path.In(head), r.URL.Path)
		}
		sameFraming(t, &p, r.ContentLength, r.TransferEncoding, 0)
		sameFields(t, &p, head, r.Header)
		sameOffer(t, &p, head, r.Header)
	})
}

// sameOffer compares the protocols that are offered with what the fields say when they are taken apart plainly, and
// whether a WebSocket handshake is sound.
func sameOffer(t *testing.T, p *Parser, head []byte, theirs http.Header) {
	t.Helper()
	var want []string
	for element := range strings.SplitSeq(strings.Join(theirs["Upgrade"], ","), ",") {
		element = strings.Trim(element, " \t")
		name, _, _ := strings.Cut(strings.ToLower(element), "/")
		if p.Upgrade && name != "" && name != "h2c" && name != "h2" && name != "http" && name != "tls" {
			want = append(want, element)
		}
	}
	got := string(p.AppendUpgrade(nil, head, []string{"*"}))
	same(t, "offer", got, strings.Join(want, ", "))
	key, err := base64.StdEncoding.DecodeString(theirs.Get("Sec-WebSocket-Key"))
	sound := err == nil && len(key) == keyBytes && len(theirs["Sec-Websocket-Key"]) == 1 &&
		len(theirs["Sec-Websocket-Version"]) == 1
	if p.WebSocket(head) == OK && !sound {
		t.Fatalf("a WebSocket handshake, but to others it is none: %q", head)
	}
}

func FuzzResponse(f *testing.F) {
	seeds(f, "response", uint16(17), uint8(GET))
	f.Fuzz(func(t *testing.T, head []byte, at uint16, method uint8) {
		var p Parser
		p.ResetResponse(&Limits{})
		code := p.Feed(head)
		sameSplit(t, "response", head, at, result(&p, code))
		if code != OK {
			return
		}
		asked := GET
		if method%2 == 1 {
			asked = HEAD
		}
		request := &http.Request{Method: map[Method]string{GET: "GET", HEAD: "HEAD"}[asked]}
		r, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(head[:p.Len]), 1<<17), request)
		if err != nil {
			if strings.Contains(err.Error(), "bad trailer key") {
				return
			}
			t.Fatalf("accepted, but net/http says %v: %q", err, head)
		}
		same(t, "status", int(p.Status), r.StatusCode)
		same(t, "reason", strings.TrimPrefix(string(head[9:p.Reason.End()]), " "), r.Status)
		same(t, "minor", int(p.Minor), min(r.ProtoMinor, 1))
		switch p.Body(asked) {
		case BodyNone:
			b, err := io.ReadAll(r.Body)
			same(t, "body", string(b), "")
			same(t, "body error", err, nil)
			same(t, "keep-alive", p.KeepAlive, !r.Close)
		case BodyClose:
			same(t, "length", r.ContentLength, -1)
			same(t, "keep-alive", r.Close, true)
		default:
			same(t, "keep-alive", p.KeepAlive, !r.Close)
			sameFraming(t, &p, r.ContentLength, r.TransferEncoding, -1)
		}
		sameFields(t, &p, head, r.Header)
	})
}

func same[T comparable](t *testing.T, what string, ours, theirs T) {
	t.Helper()
	if ours != theirs {
		t.Fatalf("%s is %v, to net/http %v", what, ours, theirs)
	}
}

// decode undoes percent-encoding, which the parser has found sound.
func decode(path []byte) string {
	var out []byte
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			hex := func(c byte) byte { return byte(strings.IndexByte("0123456789abcdef", c|0x20)) }
			c = hex(path[i+1])<<4 | hex(path[i+2])
			i += 2
		}
		out = append(out, c)
	}
	return string(out)
}

func sameFraming(t *testing.T, p *Parser, length int64, codings []string, without int64) {
	t.Helper()
	same(t, "chunked", p.Chunked, len(codings) == 1 && codings[0] == "chunked")
	want := p.ContentLength
	if p.Chunked {
		want = -1
	} else if want < 0 {
		want = without
	}
	same(t, "length", want, length)
}

// sameFields compares the fields, in order within a name. net/http takes Host and what it acted upon out of its map,
// and adds a Cache-Control to a Pragma.
func sameFields(t *testing.T, p *Parser, head []byte, theirs http.Header) {
	t.Helper()
	ours := http.Header{}
	for _, f := range p.Fields[:p.N] {
		name := http.CanonicalHeaderKey(string(f.Name.In(head)))
		if i, ok := p.Get(f.ID); f.ID != FieldOther && (!ok || p.Fields[i].ID != f.ID) {
			t.Fatalf("Get does not find %q", name)
		}
		switch f.ID {
		case FieldHost, FieldTransferEncoding, FieldTrailer, FieldConnection:
		default:
			ours[name] = append(ours[name], string(f.Value.In(head)))
		}
	}
	if pragma := ours["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" && len(ours["Cache-Control"]) == 0 {
		theirs.Del("Cache-Control")
	}
	for _, name := range []string{"Host", "Trailer", "Transfer-Encoding", "Connection"} {
		theirs.Del(name)
	}
	same(t, "number of fields", len(ours), len(theirs))
	for name, values := range ours {
		same(t, name, strings.Join(values, "\n"), strings.Join(theirs[name], "\n"))
	}
}

// FuzzChunked compares with net/http's reading of a chunked request, since httputil's does not read trailers.
func FuzzChunked(f *testing.F) {
	seeds(f, "chunked", uint16(3), uint16(7))
	f.Fuzz(func(t *testing.T, body []byte, a, b uint16) {
		n, data, code := feedChunked(t, body)
		i, j := int(a)%(len(body)+1), int(b)%(len(body)+1)
		i, j = min(i, j), max(i, j)
		m, again, got := feedChunked(t, body[:i:i], body[i:j:j], body[j:])
		if m != n || !bytes.Equal(again, data) || got != code {
			t.Fatalf("split at %d and %d: %d bytes, data %q, %v; want %d, %q, %v", i, j, m, again, got, n, data, code)
		}
		if code != OK {
			return
		}
		head := "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		in := bufio.NewReaderSize(io.MultiReader(strings.NewReader(head), bytes.NewReader(body)), 1<<17)
		r, err := http.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatalf("accepted, but net/http says %v: %q", err, body[:n])
		}
		if !bytes.Equal(data, theirs) {
			t.Fatalf("data is %q, to net/http %q", data, theirs)
		}
		rest, _ := io.ReadAll(in)
		if !bytes.Equal(rest, body[n:]) {
			t.Fatalf("body ends after %d of %d bytes, to net/http %d from the end", n, len(body), len(rest))
		}
	})
}

func FuzzIPv6(f *testing.F) {
	for _, s := range []string{
		"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "0::0:0:0:0:0:0:0", "::ffff:1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "fe80::1%lo", ":::", "1:", ":1", "::1.2.3", "::01.2.3.4", "12345::",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		want := err == nil && a.Is6() && a.Zone() == ""
		if got := isIPv6([]byte(s)); got != want {
			t.Fatalf("isIPv6(%q) is %v, want %v", s, got, want)
		}
	})
}
