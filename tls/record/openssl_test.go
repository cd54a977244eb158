package record

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// openssl is a running openssl command. What it prints is kept, and can be waited for.
type openssl struct {
	t    *testing.T
	in   io.WriteCloser
	mu   sync.Mutex
	grew sync.Cond
	out  []byte
	over bool
}

// run starts openssl; the test's end waits for it.
func run(t *testing.T, args ...string) *openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "openssl", args...)
	o := &openssl{t: t}
	o.grew.L = &o.mu
	cmd.Stdout, cmd.Stderr = o, o
	var err error
	if o.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		o.mu.Lock()
		o.over = true
		o.grew.Broadcast()
		o.mu.Unlock()
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return o
}

func (o *openssl) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.out = append(o.out, p...)
	o.grew.Broadcast()
	return len(p), nil
}

// await waits until something is printed, and returns everything up to its end, which is then forgotten.
func (o *openssl) await(pattern string) string {
	o.t.Helper()
	re := regexp.MustCompile(pattern)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if at := re.FindIndex(o.out); at != nil {
			text := string(o.out[:at[1]])
			o.out = o.out[at[1]:]
			return text
		}
		if o.over {
			o.t.Fatalf("openssl ended and did not print %q:\n%s", pattern, o.out)
		}
		o.grew.Wait()
	}
}

func (o *openssl) enter(line string) {
	o.t.Helper()
	if _, err := io.WriteString(o.in, line+"\n"); err != nil {
		o.t.Fatal(err)
	}
}

// names are openssl's for the suites, and the option that chooses the version.
var names = map[string][]string{
	"1.3 AES-128-GCM":       {"-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"},
	"1.3 AES-256-GCM":       {"-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"},
	"1.3 ChaCha20-Poly1305": {"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"},
	"1.2 AES-128-GCM":       {"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"},
	"1.2 AES-256-GCM":       {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"},
	"1.2 ChaCha20-Poly1305": {"-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"},
}

// serveOne accepts one connection and echoes on it until it ends. The error comes when it is over.
func serveOne(t *testing.T) (address string, took chan *taken, over chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	took, over = make(chan *taken, 1), make(chan error, 1)
	server, _ := setup{max: tls.VersionTLS13}.configs()
	go func() {
		defer close(took)
		conn, err := l.Accept()
		l.Close()
		if err != nil {
			over <- err
			return
		}
		defer conn.Close()
		c, err := takeOver(conn, server, false)
		if err != nil {
			over <- err
			return
		}
		err = c.echo(mrand.New(mrand.NewPCG(3, 3)))
		took <- c
		over <- err
	}()
	return l.Addr().String(), took, over
}

// TestOpenSSLClient is a server to openssl s_client, which changes keys and asks us to.
func TestOpenSSLClient(t *testing.T) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			address, took, over := serveOne(t)
			o := run(t, append([]string{"s_client", "-connect", address}, names[s.name]...)...)
			o.enter("first line")
			o.await("first line\n")
			updates := 0
			if s.version == tls.VersionTLS13 {
				for i, key := range []string{"K", "k", "K", "K", "k"} {
					o.enter(key)
					o.await("KEYUPDATE\n")
					line := strings.Repeat("line ", i+1) + "!"
					o.enter(line)
					o.await(line + "\n")
					updates++
				}
			}
			o.enter("Q")
			c := <-took
			if err := <-over; err != nil {
				t.Fatal(err)
			}
			if c.state.CipherSuite != s.id {
				t.Errorf("cipher suite %#x, want %#x", c.state.CipherSuite, s.id)
			}
			if in, out := c.layer.KeyUpdates(); int(in) != updates || int(out) < 3 && updates > 0 {
				t.Errorf("%d key updates in, %d out", in, out)
			}
			if !c.layer.PeerClosed() {
				t.Error("closed without close_notify")
			}
			onWire(t, c.spare, c.gate.written)
		})
	}
}

// TestOpenSSLRenegotiation is asked for another handshake and refuses.
func TestOpenSSLRenegotiation(t *testing.T) {
	address, took, over := serveOne(t)
	o := run(t, append([]string{"s_client", "-connect", address}, names["1.2 AES-128-GCM"]...)...)
	o.enter("first line")
	o.await("first line\n")
	o.enter("R")
	o.await("RENEGOTIATING")
	<-took
	if err := <-over; err == nil || !strings.Contains(err.Error(), "fault no_renegotiation") {
		t.Errorf("renegotiation: %v", err)
	}
	o.await("no renegotiation")
}

// TestOpenSSLServer is a client of openssl s_server, which sends two tickets behind its Finished and reverses lines.
func TestOpenSSLServer(t *testing.T) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"s_server", "-accept", "127.0.0.1:0", "-rev", "-naccept", "1"}
			args = append(append(args, names[s.name]...), certFiles(t)...)
			o := run(t, args...)
			_, address, _ := strings.Cut(o.await(`ACCEPT 127\.0\.0\.1:\d+\n`), "ACCEPT ")
			conn, err := net.Dial("tcp", strings.TrimSpace(address))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, client := setup{max: s.version}.configs()
			c, err := takeOver(conn, client, true)
			if err != nil {
				t.Fatal(err)
			}
			if c.state.CipherSuite != s.id {
				t.Errorf("cipher suite %#x, want %#x", c.state.CipherSuite, s.id)
			}
			if err := c.reversed(s.version == tls.VersionTLS13); err != nil {
				t.Fatal(err)
			}
			onWire(t, c.spare, c.gate.written)
		})
	}
}

// reversed sends lines and reads them back the wrong way round. Before the second line the key changes, once: s_server
// sleeps for a second when it has read a record without data.
func (c *taken) reversed(update bool) error {
	rng := mrand.New(mrand.NewPCG(4, 4))
	r := reader{layer: c.layer}
	for i, line := range []string{"abc\n", "hello\n", strings.Repeat("0123456789", 500) + "\n"} {
		c.layer.owed = update && i == 1
		if err := c.send(rng, []byte(line)); err != nil {
			return err
		}
		var want []byte
		for i := len(line) - 2; i >= 0; i-- {
			want = append(want, line[i])
		}
		want = append(want, '\n')
		for r.plain = r.plain[:0]; len(r.plain) < len(want); {
			b := make([]byte, 700)
			n, err := c.conn.Read(b)
			if err != nil {
				return err
			}
			if res := r.feed(b[:n]); res.Kind != NeedMore {
				return errors.New(res.Kind.String() + " " + res.Alert.String())
			}
		}
		if !bytes.Equal(r.plain, want) {
			return errors.New("not what was sent, reversed")
		}
	}
	if _, out := c.layer.KeyUpdates(); out != 1 && update {
		return errors.New("no key update")
	}
	return c.say(alert.CloseNotify)
}

// certFiles writes the certificates for openssl's options.
func certFiles(t *testing.T) (args []string) {
	t.Helper()
	dir := t.TempDir()
	for i, kind := range []string{"ec", "rsa"} {
		c := certificates()[i]
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
		file := filepath.Join(dir, kind+".pem")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, []string{"-cert", "-dcert"}[i], file, []string{"-key", "-dkey"}[i], file)
	}
	return args
}
