package h1

import (
	"fmt"
	"strings"
	"testing"
)

const (
	headWrk = "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"

	headShort = "GET /api/v1/items?page=2 HTTP/1.1\r\nHost: www.example.com\r\n" +
		"User-Agent: curl/8.14.1\r\nAccept: */*\r\n" +
		"X-Request-Id: 4f1d2c3b\r\n\r\n"

	headBrowser = "GET /articles/2025/11/a-rather-long-title-of-an-article?utm_source=newsletter&id=8417 HTTP/1.1\r\n" +
		"Host: www.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"Cache-Control: max-age=0\r\n" +
		"sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n" +
		"sec-ch-ua-mobile: ?0\r\n" +
		"sec-ch-ua-platform: \"Linux\"\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " +
		"Chrome/142.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Sec-Fetch-Site: none\r\n" +
		"Sec-Fetch-Mode: navigate\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-GB,en;q=0.9\r\n" +
		"Cookie: session=0123456789abcdef; theme=dark\r\n\r\n"

	headNginx = "HTTP/1.1 200 OK\r\n" +
		"Server: nginx/1.26.3\r\n" +
		"Date: Fri, 21 Nov 2025 20:22:00 GMT\r\n" +
		"Content-Type: text/html\r\n" +
		"Content-Length: 615\r\n" +
		"Last-Modified: Wed, 05 Feb 2025 11:06:32 GMT\r\n" +
		"Connection: keep-alive\r\n" +
		"ETag: \"67a34638-267\"\r\n" +
		"Accept-Ranges: bytes\r\n\r\n"
)

var benchLimits = Limits{LineBytes: 8 << 10, HeaderBytes: 32 << 10, Fields: 100}

func BenchmarkRequest(b *testing.B) {
	for name, head := range map[string]string{"wrk": headWrk, "short": headShort, "browser": headBrowser} {
		b.Run(fmt.Sprintf("%s-%d", name, len(head)), func(b *testing.B) {
			var p Parser
			in := []byte(head)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				p.ResetRequest(&benchLimits)
				if code := p.Feed(in); code != OK {
					b.Fatal(code)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	var p Parser
	in := []byte(headNginx)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		p.ResetResponse(&benchLimits)
		if code := p.Feed(in); code != OK {
			b.Fatal(code)
		}
	}
}

// BenchmarkDrip gives a head one byte more at a time: the cost must stay in proportion to its length.
func BenchmarkDrip(b *testing.B) {
	var p Parser
	in := []byte("GET /" + strings.Repeat("a", 7000) + " HTTP/1.1\r\nHost: h\r\n" +
		"Cookie: " + strings.Repeat("a", 20000) + "\r\n\r\n")
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		p.ResetRequest(&benchLimits)
		for n := range len(in) {
			p.Feed(in[:n+1])
		}
		if code := p.Feed(in); code != OK {
			b.Fatal(code)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, size := range []int{16, 1024, 16384} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			chunk := fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("d", size))
			in := []byte(strings.Repeat(chunk, 1+16384/size) + "0\r\n\r\n")
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				var c Chunked
				if n, code := c.Feed(in); code != OK || n != len(in) {
					b.Fatal(n, code)
				}
			}
		})
	}
}

// BenchmarkRewrite includes the parse, since a head is rewritten once: compare with BenchmarkRequest and
// BenchmarkResponse.
func BenchmarkRewrite(b *testing.B) {
	const room = 512
	add := []byte("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Request-Id: 0123456789abcdef\r\n")
	for _, c := range []struct {
		name, head string
		response   bool
	}{{"browser", headBrowser, false}, {"short", headShort, false}, {"nginx", headNginx, true}} {
		b.Run(c.name, func(b *testing.B) {
			var p Parser
			mem := make([]byte, room+len(c.head))
			b.ReportAllocs()
			for b.Loop() {
				copy(mem[room:], c.head)
				p.reset(&benchLimits, c.response)
				ok := p.Feed(mem[room:]) == OK
				if c.response {
					_, ok = p.RewriteResponse(mem, 0, room, add)
				} else {
					_, ok = p.RewriteRequest(mem, 0, room, nil, add)
				}
				if !ok {
					b.Fatal("not rewritten")
				}
			}
		})
	}
}
