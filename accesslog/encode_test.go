package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
)

func encode(f Format, rec Record) string {
	e := newEncoder(f)
	return string(e.appendLine(nil, &rec))
}

func TestCombined(t *testing.T) {
	unreadable := Record{Time: -1, Status: 400, BytesOut: 90, Reason: metrics.BadRequestHead}
	hostile := served()
	hostile.Target = []byte("/\"\\\x00\xff\n\t\r\x1b[2J")
	hostile.UserAgent = []byte("caf\u00e9")
	gone := served()
	gone.Status, gone.BytesOut, gone.Referer = 0, 0, nil
	tests := []struct {
		rec  Record
		want string
	}{
		{served(), `203.0.113.7 - - [09/Mar/2026:14:05:06 +0000] "GET /cart?item=7 HTTP/1.1" 200 5120 ` +
			`"https://shop.example.com/" "Mozilla/5.0 (X11)"`},
		{failed(), `2001:db8::1 - - [09/Mar/2026:14:05:07 +0000] "POST /orders HTTP/1.1" 504 118 "-" "curl/8.5.0"`},
		{unreadable, `unix - - [31/Dec/1969:23:59:59 +0000] "-" 400 90 "-" "-"`},
		{hostile, `203.0.113.7 - - [09/Mar/2026:14:05:06 +0000] "GET /\"\\\x00\xff\n\t\r\x1b[2J HTTP/1.1" 200 5120 ` +
			`"https://shop.example.com/" "caf\xc3\xa9"`},
		{gone, `203.0.113.7 - - [09/Mar/2026:14:05:06 +0000] "GET /cart?item=7 HTTP/1.1" - - "-" "Mozilla/5.0 (X11)"`},
		{streamed(), `203.0.113.7 - - [09/Mar/2026:14:05:08 +0000] "- - tls" - 1048576 "-" "-"`},
		{switched(), `203.0.113.7 - - [09/Mar/2026:14:05:09 +0000] "- - websocket" 101 8192 "-" "-"`},
		{datagrams(), `203.0.113.9 - - [09/Mar/2026:14:05:10 +0000] "- - udp" - 112 "-" "-"`},
	}
	for _, tt := range tests {
		if got := encode(Combined, tt.rec); got != tt.want+"\n" {
			t.Errorf("got  %swant %s", got, tt.want)
		}
	}
}

func TestJSON(t *testing.T) {
	unreadable := Record{Client: netip.MustParseAddrPort("192.0.2.1:1"), Status: 400, Upstream: -1, FirstByte: -1,
		Overhead: -1, Duration: -7, Reason: metrics.BadRequestHead, Detail: []byte("bare LF")}
	hostile := unreadable
	hostile.Target = []byte("/\"\\\x00\xff\n\u0085\u2028\u00e9\ufffd\x7f")
	tests := []struct {
		rec  Record
		want string
	}{
		{served(), `{"time":"2026-03-09T14:05:06.078Z","client":"203.0.113.7:51234","method":"GET",` +
			`"scheme":"http","host":"shop.example.com","path":"/cart?item=7",` +
			`"protocol":"HTTP/1.1","status":200,"bytes_in":0,` +
			`"bytes_out":5120,"duration":0.012345678,"upstream_duration":0.012300100,"first_byte":0.009876543,` +
			`"overhead":0.000023456,"route":"shop","service":"carts","endpoint":"http://10.0.0.5:9000",` +
			`"request_id":"01jb3k6q9w","user_agent":"Mozilla/5.0 (X11)","referer":"https://shop.example.com/",` +
			`"client_reused":true,"upstream_reused":true}`},
		{failed(), `{"time":"2026-03-09T14:05:07.000Z","client":"[2001:db8::1]:40000","method":"POST",` +
			`"scheme":"http","host":"shop.example.com","path":"/orders",` +
			`"protocol":"HTTP/1.1","status":504,"bytes_in":42,` +
			`"bytes_out":118,"duration":1.002000000,"upstream_duration":1.001950000,"overhead":0.000050000,` +
			`"route":"shop","service":"orders","endpoint":"http://10.0.0.6:9000","request_id":"01jb3k6r2m",` +
			`"user_agent":"curl/8.5.0","retries":1,"error":"timeout","while":"connecting to upstream",` +
			`"detail":"ETIMEDOUT"}`},
		{secure(), `{"time":"2026-03-09T14:05:06.078Z","client":"203.0.113.7:51234","method":"GET",` +
			`"scheme":"https","host":"shop.example.com","path":"/cart?item=7",` +
			`"protocol":"HTTP/1.1","status":200,"bytes_in":0,` +
			`"bytes_out":5120,"duration":0.012345678,"upstream_duration":0.012300100,"first_byte":0.009876543,` +
			`"overhead":0.000023456,"route":"shop","service":"carts","endpoint":"http://10.0.0.5:9000",` +
			`"request_id":"01jb3k6q9w","user_agent":"Mozilla/5.0 (X11)","referer":"https://shop.example.com/",` +
			`"tls_version":"1.3","tls_suite":"TLS_AES_128_GCM_SHA256","sni":"shop.example.com",` +
			`"client_cert":"CN=till 7,O=Example","resumed":true,"client_reused":true,"upstream_reused":true}`},
		{unreadable, `{"time":"1970-01-01T00:00:00.000Z","client":"192.0.2.1:1","method":"","scheme":"","host":"",` +
			`"path":"","protocol":"HTTP/1.0","status":400,"bytes_in":0,"bytes_out":0,"duration":0.000000000,` +
			`"error":"malformed request","while":"reading request head","detail":"bare LF"}`},
		{hostile, `{"time":"1970-01-01T00:00:00.000Z","client":"192.0.2.1:1","method":"","scheme":"","host":"",` +
			`"path":"/\"\\\u0000\ufffd\u000a\u0085\u2028` + "\u00e9\ufffd" + `\u007f","protocol":"HTTP/1.0",` +
			`"status":400,"bytes_in":0,"bytes_out":0,"duration":0.000000000,` +
			`"error":"malformed request","while":"reading request head","detail":"bare LF"}`},
		{streamed(), `{"time":"2026-03-09T14:05:08.120Z","client":"203.0.113.7:51240","method":"","scheme":"tls",` +
			`"host":"db.example.com","path":"","protocol":"tls","status":0,"bytes_in":2048,"bytes_out":1048576,` +
			`"duration":61.250000000,"upstream_duration":61.249600000,"route":"database","service":"db",` +
			`"endpoint":"tcp://10.0.0.3:5432","error":"connection lost","while":"passing a stream on",` +
			`"detail":"ECONNRESET"}`},
		{datagrams(), `{"time":"2026-03-09T14:05:10.000Z","client":"203.0.113.9:40001","method":"","scheme":"udp",` +
			`"host":"","path":"","protocol":"udp","status":0,"bytes_in":40,"bytes_out":112,"datagrams_in":1,` +
			`"datagrams_out":1,"duration":30.001000000,"route":"dns",` +
			`"service":"resolvers","endpoint":"udp://10.0.0.53:53"}`},
	}
	for _, tt := range tests {
		if got := encode(JSON, tt.rec); got != tt.want+"\n" {
			t.Errorf("got  %swant %s", got, tt.want)
		}
	}
}

func TestLongestLineFitsMaxLine(t *testing.T) {
	junk := func(n int) []byte { return bytes.Repeat([]byte{0}, n) }
	rec := Record{
		Time: 1 << 62, Duration: 1<<63 - 1, Upstream: 1<<63 - 1, FirstByte: 1<<63 - 1, Overhead: 1<<63 - 1,
		BytesIn: -1 << 63, BytesOut: -1 << 63, Status: 65535, Minor: 255, Retries: 255,
		Client: netip.MustParseAddrPort("[fe80:1111:2222:3333:4444:5555:6666:7777%longest-zone-nam]:65535"),
		Method: junk(1e5), Host: junk(1e5), Target: junk(1e5), RequestID: junk(1e5), UserAgent: junk(1e5),
		Referer: junk(1e5), Scheme: string(junk(1e5)), Route: string(junk(1e5)), Service: string(junk(1e5)),
		Endpoint: string(junk(1e5)), Detail: junk(1e5), ClientReused: true, UpstreamReused: true,
		TLSVersion: string(junk(1e5)), TLSSuite: string(junk(1e5)), SNI: string(junk(1e5)), ClientCert: junk(1e5),
		Resumed: true, Protocol: junk(1e5), DatagramsIn: -1 << 63, DatagramsOut: -1 << 63,
	}
	for r := metrics.None; r <= metrics.InternalError; r++ {
		rec.Reason = r
		for _, f := range []Format{JSON, Combined} {
			if n := len(encode(f, rec)); n > MaxLine {
				t.Errorf("format %d, reason %v: a line of %d bytes, more than MaxLine = %d", f, r, n, MaxLine)
			}
		}
	}
}

func TestCutLeavesWholeCharacters(t *testing.T) {
	rec := served()
	rec.Target = []byte("/" + strings.Repeat("\u20ac", maxTarget)) // three bytes each
	line := encode(JSON, rec)
	if !strings.Contains(line, "\u20ac...\"") || strings.Contains(line, `\ufffd`) {
		t.Errorf("the target is not cut at a character: %.80q", line[strings.Index(line, "..."):])
	}
	rec.Target = bytes.Repeat([]byte{0x80}, maxTarget+1) // no character starts anywhere
	if line := encode(Combined, rec); strings.Count(line, `\x80`) != maxTarget {
		t.Error("bytes that are no characters must be cut at the limit")
	}
}

// The clock keeps some seconds; lines must be right in whatever order their times come.
func TestClockAgreesWithTime(t *testing.T) {
	var c clock
	base := time.Date(2028, 2, 28, 23, 59, 50, 0, time.UTC)
	for i := range 200 {
		at := base.Add(time.Duration(i*7919%23)*time.Second + time.Duration(i)*4_999_999*time.Nanosecond)
		iso, clf := string(c.appendISO(nil, at.UnixNano())), string(c.appendCLF(nil, at.UnixNano()))
		if want := at.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z"); iso != want {
			t.Errorf("got %s, want %s", iso, want)
		}
		if want := at.Format(clfLayout); clf != want {
			t.Errorf("got %s, want %s", clf, want)
		}
	}
}

// A JSON line is one line, valid JSON without repeated members, and reads back as what was put in.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("GET"), []byte("/a?b=c"), []byte("curl/8"), "web", int64(1_234_567_890), uint16(200), uint8(3))
	f.Add([]byte("\xff\""), []byte("/\u2028\\\x00"), []byte("\xed\xa0\x80"), "\x7f", int64(-1), uint16(0), uint8(200))
	f.Fuzz(func(t *testing.T, method, target, agent []byte, route string, ns int64, status uint16, reason uint8) {
		rec := Record{Time: ns, Duration: ns, Upstream: ns, FirstByte: ns, Overhead: ns, Method: method, Target: target,
			UserAgent: agent, Route: route, Status: status,
			Reason: metrics.Reason(reason % uint8(metrics.InternalError+1))}
		line := encode(JSON, rec)
		if strings.ContainsFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("control character in %q", line)
		}
		var got struct {
			Method, Path string
			Agent        string `json:"user_agent"`
			Route        string
			Status       uint16
			Duration     json.Number
			Error, While string
		}
		d := json.NewDecoder(strings.NewReader(line))
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if d.More() || line[len(line)-1] != '\n' {
			t.Fatalf("not exactly one line: %q", line)
		}
		same := func(what, got string, in []byte, limit int) {
			if want := string([]rune(string(in))); len(in) <= limit && got != want {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		same("method", got.Method, method, maxToken)
		same("path", got.Path, target, maxTarget)
		same("user agent", got.Agent, agent, maxAgent)
		same("route", got.Route, []byte(route), maxName)
		if sec, frac, _ := strings.Cut(string(got.Duration), "."); len(frac) != 9 {
			t.Errorf("duration %s.%s has not nine decimals", sec, frac)
		} else if d, err := time.ParseDuration(string(got.Duration) + "s"); err != nil || int64(d) != max(ns, 0) {
			t.Errorf("duration %s: got %d, want %d", got.Duration, d, ns)
		}
		if got.Error != rec.Reason.Text() || got.While != rec.Reason.While() || got.Status != status {
			t.Errorf("got %q while %q, status %d", got.Error, got.While, got.Status)
		}
	})
}

// Escaping for the combined format is printable, cannot end a field early, and can be undone.
func FuzzHexed(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte("\"\\x41\\\x00\n\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := appendHexed(nil, in)
		var back []byte
		for i := 0; i < len(out); i++ {
			c := out[i]
			if c < ' ' || c > '~' || c == '"' {
				t.Fatalf("bare %q in %q", c, out)
			}
			if c != '\\' {
				back = append(back, c)
				continue
			}
			i++
			switch out[i] {
			case 'n':
				back = append(back, '\n')
			case 'r':
				back = append(back, '\r')
			case 't':
				back = append(back, '\t')
			case 'x':
				back = append(back, byte(strings.IndexByte(hex, out[i+1])<<4|strings.IndexByte(hex, out[i+2])))
				i += 2
			default:
				back = append(back, out[i])
			}
		}
		if !bytes.Equal(back, in) {
			t.Errorf("%q reads back as %q", in, back)
		}
	})
}

// Every byte at every place of a word is found, alone and behind each other byte that is found.
func TestPlainPrefix(t *testing.T) {
	for n := range 20 {
		for at := range n {
			s := bytes.Repeat([]byte{'a'}, n)
			for c := range 256 {
				s[at] = byte(c)
				want := at
				if plain[c] {
					want = n
				}
				if got := plainPrefix(s); got != want {
					t.Fatalf("byte %#x at %d of %d: got %d, want %d", c, at, n, got, want)
				}
			}
		}
	}
	for a := range 256 {
		for b := range 256 {
			s := []byte{'a', byte(a), byte(b), '0', '1', '2', '3', '4'}
			want := len(s)
			if !plain[a] {
				want = 1
			} else if !plain[b] {
				want = 2
			}
			if got := plainPrefix(s); got != want {
				t.Fatalf("%q: got %d, want %d", s, got, want)
			}
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, f := range map[string]Format{"JSON": JSON, "Combined": Combined} {
		b.Run(name, func(b *testing.B) {
			e, rec, dst := newEncoder(f), served(), make([]byte, 0, MaxLine)
			b.ReportAllocs()
			for b.Loop() {
				dst = e.appendLine(dst[:0], &rec)
			}
		})
	}
}
