package handshake

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// carry has a wire's bytes come from and go to a socket.
func carry(conn net.Conn) func(w *wire) error {
	return func(w *wire) error {
		go func() {
			io.Copy(conn, w)
			conn.(*net.TCPConn).CloseWrite()
		}()
		_, err := io.Copy(w, conn)
		return err
	}
}

// TestOpenSSL has openssl as the client: each version and suite, a curve that it has to be asked for, and sessions
// that it keeps in a file and resumes.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(deadline))
	for _, c := range []struct {
		name, arguments string
		version, suite  uint16
	}{
		{"1.3 AES-128", "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256},
		{"1.3 AES-256", "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", tls.VersionTLS13, tls.TLS_AES_256_GCM_SHA384},
		{
			"1.3 ChaCha20", "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", tls.VersionTLS13,
			tls.TLS_CHACHA20_POLY1305_SHA256,
		},
		{"1.3 retried", "-tls1_3 -groups X448:P-384", tls.VersionTLS13, 0},
		{"1.2 RSA", "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384", tls.VersionTLS12, Suites12[3]},
		{"1.2 ECDSA", "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", tls.VersionTLS12, Suites12[4]},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, PoolOptions{InFlight: 1})
			server := newServer(t, ServerOptions{Tickets: RandomTickets()})
			kept := filepath.Join(t.TempDir(), "session")
			for _, session := range []string{"-sess_out", "-sess_in"} {
				arguments := append([]string{
					"s_client", "-quiet", "-servername", "www.example.com", "-connect", listener.Addr().String(),
					session, kept,
				}, strings.Fields(c.arguments)...)
				client := exec.Command(openssl, arguments...)
				stdin, err := client.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				var stdout, stderr bytes.Buffer
				client.Stdout, client.Stderr = &stdout, &stderr
				if err := client.Start(); err != nil {
					t.Fatal(err)
				}
				stdin.Write(ping)
				conn, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				s, done := b.connect(func() *Conversation { return b.port.Serve(1, server, theAddr, nil) }, carry(conn))
				o := *s.settled()
				if o.Err != nil || o.Version != c.version || c.suite != 0 && o.Suite != c.suite ||
					o.Resumed != (session == "-sess_in") {
					t.Errorf("%s: %+v\n%s", session, o, &stderr)
				}
				if o.Err == nil {
					s.until("ping is there", func() bool { return bytes.Equal(s.plain, ping) || s.fault != "" })
					s.write(pong)
					s.closeWrite()
					s.until("openssl closes", func() bool { return len(done) > 0 })
				}
				stdin.Close()
				s.end(done)
				client.Wait()
				conn.Close()
				if o.Err == nil && !bytes.Equal(stdout.Bytes(), pong) {
					t.Errorf("%s: openssl got %d bytes, want %d\n%s", session, stdout.Len(), len(pong), &stderr)
				}
			}
		})
	}
}
