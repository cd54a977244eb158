package proxy

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

// BenchmarkRequest is a small GET through the proxy on 64 keep-alive connections, client and upstream in the same
// process. What it costs in all is of little interest; its profile shows where the proxy's part goes.
func BenchmarkRequest(b *testing.B) {
	for _, name := range []string{"epoll", "uring-T3"} {
		b.Run(name, func(b *testing.B) { benchmarkRequest(b, backends[name]()) })
	}
}

func benchmarkRequest(b *testing.B, be engine.Backend) {
	request := []byte("GET /small HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	answer := []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 21 Nov 2026 20:00:00 GMT\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 100\r\nLast-Modified: Sat, 21 Nov 2026 20:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nETag: \"6560c0f3-64\"\r\nAccept-Ranges: bytes\r\n\r\n" +
		string(bytes.Repeat([]byte{'x'}, 100)))
	up := fixedUpstream(b, []byte("\r\n\r\n"), answer)
	r := start(b, be, []string{up}, nil)
	const clients = 64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range clients {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		wg.Go(func() {
			buf := make([]byte, 4096)
			for n := i; n < b.N; n += clients {
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				for got := 0; !bytes.HasSuffix(buf[:got], []byte("xxx")); {
					m, err := c.Read(buf[got:])
					if err != nil {
						b.Error(err)
						return
					}
					got += m
				}
			}
		})
	}
	wg.Wait()
}
