package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Wire is one end of a connection on which a test says each byte. Its methods end the test when the connection does
// not do what they say, or hangs.
type Wire struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// Raw connects to addr, "host:port" or "unix:/path". The connection is closed when the test ends.
func Raw(t testing.TB, addr string) *Wire {
	t.Helper()
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.DialTimeout(network, address, hang)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return newWire(t, c)
}

func newWire(t testing.TB, c net.Conn) *Wire { return &Wire{t: t, conn: c, in: bufio.NewReader(c)} }

// guard gives each step its own time limit.
func (w *Wire) guard() { _ = w.conn.SetDeadline(time.Now().Add(hang)) }

// Send sends text as it is.
func (w *Wire) Send(text string) {
	w.t.Helper()
	w.guard()
	if _, err := io.WriteString(w.conn, text); err != nil {
		w.t.Fatalf("send %.60q: %v", text, err)
	}
}

// TrySend sends text and reports whether the other side still took it.
func (w *Wire) TrySend(text string) bool {
	w.guard()
	_, err := io.WriteString(w.conn, text)
	return err == nil
}

// Expect reads as many bytes as want has and checks that they are want.
func (w *Wire) Expect(want string) {
	w.t.Helper()
	w.guard()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(w.in, got); err != nil || string(got) != want {
		w.t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

// ReadHead reads up to and including the next empty line.
func (w *Wire) ReadHead() string {
	w.t.Helper()
	w.guard()
	var head strings.Builder
	for {
		line, err := w.in.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			w.t.Fatalf("the head broke off after %q: %v", head.String(), err)
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

// Response is a response with its body.
type Response struct {
	*http.Response
	Text string
}

// ReadResponse reads the response to a request of that method. Interim responses are responses of their own.
func (w *Wire) ReadResponse(method string) Response {
	w.t.Helper()
	w.guard()
	res, err := http.ReadResponse(w.in, &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("read response: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("read body of response %d: %v", res.StatusCode, err)
	}
	return Response{res, string(body)}
}

// ReadRequest reads a request and its body.
func (w *Wire) ReadRequest() (*http.Request, string) {
	w.t.Helper()
	w.guard()
	req, err := http.ReadRequest(w.in)
	if err != nil {
		w.t.Fatalf("read request: %v", err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.t.Fatalf("read body of %s %s: %v", req.Method, req.RequestURI, err)
	}
	return req, string(body)
}

// ExpectEOF checks that the other side has sent no more and ended the connection, be it by a reset.
func (w *Wire) ExpectEOF() {
	w.t.Helper()
	w.guard()
	rest, err := io.ReadAll(w.in)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		w.t.Fatalf("got %.100q (%v), want the connection's end", rest, err)
	}
}

// ReadAll reads to the connection's end.
func (w *Wire) ReadAll() string {
	w.t.Helper()
	w.guard()
	b, err := io.ReadAll(w.in)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		w.t.Fatalf("read to the end: %v after %.100q", err, b)
	}
	return string(b)
}

// CloseWrite ends our direction; the other side's goes on.
func (w *Wire) CloseWrite() {
	w.t.Helper()
	half, ok := w.conn.(interface{ CloseWrite() error })
	if !ok {
		w.t.Fatalf("%T has no directions", w.conn)
	}
	if err := half.CloseWrite(); err != nil {
		w.t.Fatalf("close our direction: %v", err)
	}
}

// Reset breaks the connection with a reset instead of an end.
func (w *Wire) Reset() {
	if c, ok := w.conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	w.conn.Close()
}

// Close ends the connection.
func (w *Wire) Close() { w.conn.Close() }

// WaitClosed reads and throws away until the other side ends the connection.
func (w *Wire) WaitClosed() {
	_ = w.conn.SetDeadline(time.Now().Add(hang))
	_, _ = io.Copy(io.Discard, w.in) // an error is an end, too
}

// Request is the text of a request with the usual framing.
func Request(method, target, host, body string, fields ...string) string {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, f := range fields {
		text += f + "\r\n"
	}
	if body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return text + "\r\n" + body
}
