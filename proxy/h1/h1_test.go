package h1

import (
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// TestPointerFree wants what lives in slabs to hold no pointers and to keep its size.
func TestPointerFree(t *testing.T) {
	var plain func(reflect.Type) bool
	plain = func(r reflect.Type) bool {
		switch r.Kind() {
		case reflect.Struct:
			for i := range r.NumField() {
				if !plain(r.Field(i).Type) {
					return false
				}
			}
			return true
		case reflect.Array:
			return plain(r.Elem())
		}
		return r.Kind() >= reflect.Bool && r.Kind() <= reflect.Float64 && r.Kind() != reflect.Uintptr
	}
	for _, c := range []struct {
		v    any
		most uintptr
	}{{Parser{}, 1280}, {Chunked{}, 16}, {Field{}, 10}} {
		if r := reflect.TypeOf(c.v); !plain(r) || r.Size() > c.most {
			t.Errorf("%v has %d bytes, at most %d are wanted; without pointers: %v", r, r.Size(), c.most, plain(r))
		}
	}
	if unsafe.Sizeof(Ref{}) != 4 {
		t.Error("Ref is not four bytes")
	}
}

func TestNames(t *testing.T) {
	used := map[int]string{}
	for id := FieldOther + 1; id < fieldIDs; id++ {
		name := fields[id].name
		s := slot(name[0], name[len(name)-2], len(name))
		if other, ok := used[s]; ok {
			t.Errorf("%s and %s share slot %d", name, other, s)
		}
		used[s] = name
		for _, spelt := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			if got, code := lookup([]byte(spelt)); got != id || code != OK {
				t.Errorf("%s is field %d, %v, want %d", spelt, got, code, id)
			}
		}
		for _, other := range []string{name + "x", "x" + name, name[1:], name[:len(name)-1], "\x80" + name} {
			if got, _ := lookup([]byte(other)); got == id {
				t.Errorf("%q is taken for %s", other, name)
			}
		}
		for _, mark := range []string{"_", ".", "!", "~"} {
			twin := strings.ReplaceAll(name, "-", mark)
			want := OK
			if twin != name && is[id]&core != 0 {
				want = ImitatedName
			}
			if got, code := lookup([]byte(twin)); code != want || twin != name && got != FieldOther {
				t.Errorf("%s is field %d, %v, want %v", twin, got, code, want)
			}
		}
	}
}

// TestScan compares the scanners with the obvious ones, at every offset and length around their steps.
func TestScan(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	edges := []byte{0, '\t', '\n', '\r', 0x1f, ' ', '!', '~', 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xff, 'a'}
	for range 20000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = 'x'
			if r.IntN(12) == 0 {
				b[i] = edges[r.IntN(len(edges))]
			}
		}
		for i := range len(b) + 1 {
			text, token := i, i
			for text < len(b) && (b[text] >= 0x20 && b[text] != 0x7f || b[text] == '\t') {
				text++
			}
			for token < len(b) && class[b[token]]&isToken != 0 {
				token++
			}
			if got := scanText(b, i); got != text {
				t.Fatalf("scanText(%q, %d) is %d, want %d", b, i, got, text)
			}
			if got := scan(b, i, isToken); got != token {
				t.Fatalf("scan(%q, %d) is %d, want %d", b, i, got, token)
			}
		}
	}
}

func TestFinal(t *testing.T) {
	for _, head := range []string{headShort, "GET / HTTP/3.0\r\n"} {
		var p Parser
		p.ResetRequest(&Limits{})
		code := p.Feed([]byte(head))
		if again := p.Feed([]byte(head + "more")); again != code || code == NeedMore {
			t.Errorf("Feed said %v, then %v", code, again)
		}
	}
	var c Chunked
	for range 2 {
		c.Reset()
		if n, code := c.Feed([]byte("0\r\n\r\nGET")); n != 5 || code != OK {
			t.Errorf("Feed: %d, %v", n, code)
		}
		if n, code := c.Feed([]byte("GET")); n != 0 || code != OK {
			t.Errorf("behind the end: %d, %v", n, code)
		}
	}
	c.Reset()
	c.Feed([]byte("x"))
	if n, code := c.Feed([]byte("5\r\n")); n != 0 || code != BadChunkSize {
		t.Errorf("behind a fault: %d, %v", n, code)
	}
}

// TestLimitsMax holds limits that are absent or too large to the maxima.
func TestLimitsMax(t *testing.T) {
	for _, l := range []Limits{{}, {LineBytes: 1 << 30, HeaderBytes: 1 << 30, Fields: 1 << 30}, {-1, -1, -1}} {
		for _, c := range []struct {
			fields, length int
			want           Code
		}{{MaxFields - 1, 0, OK}, {MaxFields, 0, TooManyFields}, {1, MaxHead, OK}, {1, MaxHead + 1, HeaderTooLarge}} {
			head := "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a:\r\n", c.fields-1) + "b:"
			if pad := c.length - len(head) - 4; pad > 0 {
				head += strings.Repeat("b", pad)
			}
			head += "\r\n\r\n"
			var p Parser
			p.ResetRequest(&l)
			if got := p.Feed([]byte(head)); got != c.want || got == OK && (p.Len != len(head) || p.N != c.fields+1) {
				t.Errorf("limits %v, %d bytes: %v, want %v; length %d, N %d", l, len(head), got, c.want, p.Len, p.N)
			}
		}
	}
}

func TestResponseBody(t *testing.T) {
	for _, c := range []struct {
		head   string
		method Method
		want   Body
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", GET, BodyLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", GET, BodyLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", HEAD, BodyNone},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HEAD, BodyNone},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", POST, BodyChunked},
		{"HTTP/1.1 200 OK\r\n\r\n", POST, BodyClose},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", CONNECT, BodyTunnel},
		{"HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\n", CONNECT, BodyLength},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", GET, BodyNone},
		{"HTTP/1.1 103 Early Hints\r\n\r\n", GET, BodyNone},
	} {
		var p Parser
		p.ResetResponse(&Limits{})
		if code := p.Feed([]byte(c.head)); code != OK {
			t.Fatalf("%q: %v", c.head, code)
		}
		if got := p.Body(c.method); got != c.want {
			t.Errorf("body of %q to method %d is %d, want %d", c.head, c.method, got, c.want)
		}
	}
}

func TestIdempotent(t *testing.T) {
	for name, want := range map[string]bool{
		"GET": true, "HEAD": true, "PUT": true, "DELETE": true, "OPTIONS": true, "TRACE": true,
		"POST": false, "PATCH": false, "CONNECT": false, "get": false, "LOCK": false,
	} {
		if got := methodOf([]byte(name)).Idempotent(); got != want {
			t.Errorf("%s: idempotent %v, want %v", name, got, want)
		}
	}
}

// TestCodes wants every fault to have its own reason, a status, and a message in the corpus that shows it.
func TestCodes(t *testing.T) {
	shown := map[string]bool{}
	for _, kind := range []string{"request", "response", "chunked"} {
		for _, c := range readCorpus(t, kind) {
			shown[c.refused] = true
		}
	}
	reasons := map[string]Code{}
	for c := NeedMore + 1; c < codes; c++ {
		if other, ok := reasons[c.String()]; ok || c.String() == "" {
			t.Errorf("codes %d and %d have the reason %q", c, other, c)
		}
		reasons[c.String()] = c
		if s := c.Status(); s < 400 || s > 599 || !c.Fault() {
			t.Errorf("%v has the status %d", c, s)
		}
		if !shown[c.String()] {
			t.Errorf("no message of the corpus shows %q", c)
		}
	}
	if OK.Fault() || NeedMore.Fault() || codes.String() == "" || codes.Status() != 400 {
		t.Error("no fault is one, or an unknown one has no reason")
	}
}

// TestStrictnessDoc holds the documentation to the list of codes: one row for each, with its reason and status.
func TestStrictnessDoc(t *testing.T) {
	text, err := os.ReadFile("../../docs/http-strictness.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "Reason in the log" {
			continue
		}
		reason := strings.TrimSpace(cells[1])
		if _, ok := rows[reason]; ok {
			t.Errorf("two rows for %q", reason)
		}
		rows[reason] = strings.TrimSpace(cells[2])
		if strings.TrimSpace(cells[3]) == "" {
			t.Errorf("no why for %q", reason)
		}
	}
	for c := NeedMore + 1; c < codes; c++ {
		if got := rows[c.String()]; got != strconv.Itoa(c.Status()) {
			t.Errorf("row of %q has the status %q, want %d", c, got, c.Status())
		}
		delete(rows, c.String())
	}
	for reason := range rows {
		t.Errorf("row for %q, which is no reason", reason)
	}
}

func TestAllocs(t *testing.T) {
	var p Parser
	var c Chunked
	const room = 300
	chunks := []byte("5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
	faulty := []byte("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")
	absolute := "OPTIONS http://www.example.com?q HTTP/1.1\r\nHost: www.example.com\r\n" +
		"Connection: x, close\r\nX: y\r\n\r\n"
	add := []byte("Via: 1.1 h\r\n")
	mem := make([]byte, room+1024)
	edit := func(head string, response bool) func() {
		return func() {
			b := mem[:room+copy(mem[room:], head)]
			p.reset(&Limits{}, response)
			for n := room; n <= len(b); n += 16 {
				p.Feed(b[room:n])
			}
			ok := p.Feed(b[room:]) == OK
			if response {
				_, ok = p.RewriteResponse(b, 0, room, add)
			} else {
				_, ok = p.RewriteRequest(b, 0, room, nil, add)
			}
			if !ok {
				t.Error("not rewritten")
			}
		}
	}
	for name, f := range map[string]func(){
		"request":  edit(headBrowser, false),
		"absolute": edit(absolute, false),
		"response": edit(headNginx, true),
		"upgrade":  upgrading(t),
		"fault":    func() { p.ResetRequest(&benchLimits); _ = p.Feed(faulty).String() },
		"chunked":  func() { c.Reset(); c.Feed(chunks) },
		"next": func() {
			c.Reset()
			for n, code := 0, NeedMore; code == NeedMore; {
				var k int
				_, k, code = c.Next(chunks[n:])
				n += k
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// upgrading is a WebSocket handshake, judged and answered.
func upgrading(t *testing.T) func() {
	var asked, answer Parser
	request := []byte("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x, websocket\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	response := []byte("HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	allowed, room := []string{"websocket"}, make([]byte, 0, 100)
	return func() {
		asked.ResetRequest(&Limits{})
		answer.ResetResponse(&Limits{})
		if asked.Feed(request) != OK || asked.WebSocket(request) != OK || answer.Feed(response) != OK {
			t.Error("refused")
		}
		o := Offer{asked.AppendUpgrade(room, request, allowed), asked.WebSocketKey(request), true}
		if !OffersWebSocket(o.Protocols) || answer.Switched(response, &o) != OK {
			t.Error("not switched")
		}
	}
}
