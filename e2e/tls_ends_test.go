package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Secure has the script's side speak TLS from here on.
func (p *Peer) Secure(config *tls.Config) {
	p.conn = tls.Server(p.conn, config)
	p.in = bufio.NewReader(p.conn)
}

// Cut ends the connection without saying so by close_notify.
func (p *Peer) Cut() { p.conn.(*tls.Conn).NetConn().Close() }

// listen connects with a connection that knows what it has heard.
func listen(t *testing.T, addr string, config *tls.Config) (*Wire, *heard) {
	t.Helper()
	h := &heard{Conn: Raw(t, addr).conn}
	w, err := secureOver(t, h, config)
	do(t, err)
	return w, h
}

// versions are those that are spoken, as a client's only choice.
func versions(ca *Authority, name string) map[string]*tls.Config {
	return map[string]*tls.Config{
		"1.2": {ServerName: name, RootCAs: ca.Pool, MaxVersion: tls.VersionTLS12},
		"1.3": {ServerName: name, RootCAs: ca.Pool, MinVersion: tls.VersionTLS13},
	}
}

// Whenever the proxy ends a connection it says so first.
func TestTLSCloseNotify(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, once := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), NewScripted(t, UntilClose)
		config := Config(NewChecking(t).URL) + SecureListener("s", addr, ca.Issue([]string{"x.test"})) +
			"[routes.once]\npath = \"/once\"\nservice = \"once\"\n[services.once]\nendpoints = [\"" + once.URL() +
			"\"]\n[timeouts]\nidle = \"100ms\"\n"
		for name, c := range versions(ca, "x.test") {
			t.Run(name, func(t *testing.T) {
				p := mode.Start(t, config)
				for what, request := range map[string]string{
					"Connection: close": Request("GET", "/", "x.test", "", "Connection: close"),
					"HTTP/1.0":          "GET /once HTTP/1.0\r\nHost: x.test\r\n\r\n",
					"malformed":         "GET / HTTP/1.1\r\nHost: x.test\r\nHost: y.test\r\n\r\n",
					"idle":              Request("GET", "/idle", "x.test", ""),
					"nothing":           "",
				} {
					w, h := listen(t, addr, c)
					w.Send(request)
					if got := w.ReadAll(); !h.Announced() || (got == "") != (what == "nothing") {
						t.Errorf("%s: announced: %v, %q", what, h.Announced(), got)
					}
				}
				p.Stop()
			})
		}
	})
}

// A proxy that ends tells those who are connected.
func TestTLSDrainSaysCloseNotify(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(NewChecking(t).URL)+SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		w, h := listen(t, addr, versions(ca, "x.test")["1.3"])
		askRaw(t, w)
		p.Stop()
		if w.ExpectEOF(); !h.Announced() {
			t.Error("the end was not announced")
		}
	})
}

// A client that has said all it wants to say, and listens: it gets all responses, and an end.
func TestTLSHalfClose(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(NewChecking(t).URL)+SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		for name, c := range versions(ca, "x.test") {
			for _, fin := range []bool{false, true} {
				w, h := listen(t, addr, c)
				w.Send(Request("GET", "/one?n=1000000", "x.test", "") + Request("POST", "/two", "x.test", "body"))
				w.CloseWrite()
				if fin {
					do(t, h.Conn.(*net.TCPConn).CloseWrite())
				}
				one := w.ReadResponse("GET")
				err := CheckBody(strings.NewReader(one.Text), SumText("GET", "/one?n=1000000", ""), 1_000_000)
				two := w.ReadResponse("POST")
				if err != nil || two.Header.Get("X-Sum") != SumText("POST", "/two", "body") {
					t.Errorf("%s, FIN %v: %v, %q", name, fin, err, two.Text)
				}
				if w.ExpectEOF(); !h.Announced() {
					t.Errorf("%s, FIN %v: the end was not announced", name, fin)
				}
			}
		}
		p.Stop()
	})
}

// A client whose request is cut off, by an end that it has not announced or in the midst of a record: the upstream must
// not take what came for the whole.
func TestTLSTruncatedRequests(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		begun, ends := make(chan struct{}, 1), make(chan error, 1)
		up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			_, err := io.Copy(io.Discard, r.Body)
			ends <- err
		}))
		defer up.Close()
		p := mode.Start(t, Config(up.URL)+SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		for name, c := range versions(ca, "x.test") {
			for what, field := range map[string]string{
				"length": "Content-Length: 20000", "chunks": "Transfer-Encoding: chunked",
			} {
				for _, broken := range []string{"", "\x17\x03\x03\x01\x00 the beginning of a record"} {
					under := Raw(t, addr)
					w, err := secureOver(t, under.conn, c)
					do(t, err)
					w.Send(Request("POST", "/", "x.test", "", field) + "3e8\r\n" + strings.Repeat("b", 1000) + "\r\n")
					<-begun // it would not even hear of a request that is given up before
					under.Send(broken)
					under.CloseWrite()
					select {
					case err := <-ends:
						if err == nil {
							t.Errorf("%s, %s: the upstream took a part for the whole", name, what)
						}
					case <-time.After(hang):
						t.Fatalf("%s, %s: the upstream does not learn of the end", name, what)
					}
					under.WaitClosed()
				}
			}
		}
		p.Stop()
	})
}

// untilEnd answers with a body that ends with the connection, and ends that properly or by a cut.
func untilEnd(config *tls.Config, cut bool) func(*Peer) {
	return func(p *Peer) {
		p.Secure(config)
		p.ReadHead()
		p.Send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end")
		if cut {
			p.Cut()
		} else {
			p.Close()
		}
	}
}

// A response that ends with the upstream's connection is whole if the upstream says so, and otherwise it is cut off.
// The client has to be able to tell, however the response is framed for it.
func TestTLSTruncatedResponses(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		id := ca.Issue([]string{"127.0.0.1", "x.test"})
		for name, c := range versions(ca, "x.test") {
			server := &tls.Config{Certificates: []tls.Certificate{id.TLS}, MaxVersion: c.MaxVersion}
			for _, cut := range []bool{false, true} {
				up := NewScripted(t, untilEnd(server, cut))
				p := mode.Start(t, Config("https://"+up.Addr)+"[services.all.tls]\nca = [\""+ca.File+"\"]\n"+
					SecureListener("s", addr, id))
				w, h := listen(t, addr, c)
				w.Send("GET / HTTP/1.0\r\nHost: x.test\r\n\r\n")
				got := untilBroken(w)
				if h.Announced() == cut || !strings.HasSuffix(got, "to the end") && !cut {
					t.Errorf("%s, cut off %v: HTTP/1.0 got %q, announced: %v", name, cut, got, h.Announced())
				}
				w, _ = listen(t, addr, c)
				w.Send(Request("GET", "/", "x.test", ""))
				res, err := http.ReadResponse(w.in, nil)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(res.Body)
				}
				if (err != nil) != cut || !cut && string(body) != "to the end" {
					t.Errorf("%s, cut off %v: HTTP/1.1 got %q, %v", name, cut, body, err)
				}
				p.Stop()
			}
		}
	})
}

// untilBroken reads to the end, be it announced, not announced or a reset.
func untilBroken(w *Wire) string {
	w.t.Helper()
	w.guard()
	b, err := io.ReadAll(w.in)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.t.Errorf("read to the end: %v", err)
	}
	return string(b)
}
