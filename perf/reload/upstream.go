package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
)

// pieceEvery is the time from one piece of a stream to the next.
const pieceEvery = 100 * time.Millisecond

// serveUpstreams is the whole life of the upstream process: it listens on the addresses that it is given, one for each
// service, and says so on stdout.
func serveUpstreams(addresses []string) error {
	failed := make(chan error)
	for i, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("listen for service %s: %w", services[i], err)
		}
		go func() { failed <- serveUpstream(l, services[i]) }()
	}
	fmt.Fprintln(os.Stdout, "ready")
	return <-failed
}

// serveUpstream answers as the service, until the listener is closed.
func serveUpstream(l net.Listener, service string) error {
	body := load.Body(service)
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", len(body))
	answer = append(answer, body...)
	for {
		c, err := l.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() {
			defer c.Close()
			serveConn(c, answer)
		}()
	}
}

// serveConn answers the requests of a connection. They have no bodies, and are not looked at beyond their path.
func serveConn(c net.Conn, answer []byte) {
	r := bufio.NewReaderSize(c, 4096)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		streaming := bytes.HasPrefix(line, []byte("GET "+load.StreamPath+" "))
		for len(bytes.TrimRight(line, "\r\n")) > 0 {
			if line, err = r.ReadSlice('\n'); err != nil {
				return
			}
		}
		if streaming {
			streamTo(c)
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// streamTo sends a response that ends with the connection only.
func streamTo(c net.Conn) {
	b := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
	ticker := time.NewTicker(pieceEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		b = fmt.Appendf(b, "%x\r\n", load.PieceBytes)
		b = append(load.AppendPiece(b, n), "\r\n"...)
		if _, err := c.Write(b); err != nil {
			return
		}
		b = b[:0]
		<-ticker.C
	}
}
