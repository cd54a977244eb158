package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const (
	tlsBulkBytes = 64 << 20
	// relayedMemory is what crypto/tls takes beyond bulkMemory, for as many connections as there are here.
	relayedMemory = 56 << 20
)

// bulkLimit is what a proxy with one shard may use in this mode.
func (m Mode) bulkLimit() int64 {
	if m.Relayed {
		return bulkMemory + relayedMemory
	}
	return bulkMemory
}

// newSecureBulk is newBulk, by TLS.
func newSecureBulk(t *testing.T, id *Identity) string {
	up := httptest.NewUnstartedServer(newBulk(t).Config.Handler)
	up.TLS = &tls.Config{Certificates: []tls.Certificate{id.TLS}}
	up.StartTLS()
	t.Cleanup(up.Close)
	return "https://" + up.Listener.Addr().String()
}

// Bodies that are many times as large as the proxy's memory for them, with TLS on one side or on both.
func TestTLSBulk(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca := NewAuthority(t, "ca")
		id := ca.Issue([]string{"127.0.0.1", "x.test"})
		trust := fmt.Sprintf("[services.all.tls]\nca = [%q]\n", ca.File)
		for name, endpoint := range map[string]string{"plain": newBulk(t).URL, "TLS": newSecureBulk(t, id)} {
			for version, c := range versions(ca, "x.test") {
				t.Run(name+" upstream, "+version, func(t *testing.T) {
					addr, plain := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
					config := bulkConfig(endpoint, plain)
					if name == "TLS" {
						config += trust
					}
					p := mode.Start(t, config+SecureListener("s", addr, id), "--shards", "1")
					client, url := SecureClient(t, addr, c), "https://x.test"
					if name == "TLS" && version == "1.2" { // the only one with TLS on the upstream's side alone
						client, url = Client(t), "http://"+plain
					}
					p.atMost(mode.bulkLimit(), func() {
						for what, err := range map[string]error{
							"down":       download(client, url, tlsBulkBytes),
							"up":         upload(client, url, tlsBulkBytes, false),
							"up, chunks": upload(client, url, tlsBulkBytes/4, true),
						} {
							if err != nil {
								t.Errorf("%s: %v", what, err)
							}
						}
					})
					p.Stop()
				})
			}
		}
	})
}

// Clients that do not read for a while take a fixed amount of memory, and lose nothing.
func TestTLSSlowReaders(t *testing.T) {
	const clients, each = 50, 4 << 20
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		id := ca.Issue([]string{"127.0.0.1", "x.test"})
		p := mode.Start(t, bulkConfig(newBulk(t).URL, FreeAddr(t, "127.0.0.1"))+SecureListener("s", addr, id),
			"--shards", "1")
		stalled, goOn := make(chan struct{}, clients), make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		defer resume()
		slow := Client(t)
		tr := slow.Transport.(*http.Transport)
		tr.DialTLSContext = func(_ context.Context, network, _ string) (net.Conn, error) {
			c, err := net.DialTimeout(network, addr, hang)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(c, versions(ca, "x.test")["1.3"])
			if err := secure.Handshake(); err != nil {
				return nil, err
			}
			return &slowly{Conn: secure, read: stalled, goOn: goOn}, nil
		}
		p.atMost(mode.bulkLimit(), func() {
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					if err := download(slow, "https://x.test", each); err != nil {
						t.Error(err)
					}
				})
			}
			for range clients {
				<-stalled
			}
			quick := SecureClient(t, addr, versions(ca, "x.test")["1.3"])
			for range 50 {
				if err := download(quick, "https://x.test", 100_000); err != nil {
					t.Error(err)
				}
				if err := upload(quick, "https://x.test", 100_000, false); err != nil {
					t.Error(err)
				}
			}
			resume()
			all.Wait()
		})
		p.Stop()
	})
}

// Hundreds of requests that nobody waits with for the responses, some with bodies and chunks.
func TestTLSPipelining(t *testing.T) {
	const turns = 200
	chunked := Request("PUT", "/c?n=3000&chunked=1", "x.test", "", "Transfer-Encoding: chunked") +
		"7d0\r\n" + strings.Repeat("c", 2000) + "\r\n0\r\n\r\n"
	body := strings.Repeat("b", 20_000)
	batch := Request("GET", "/a", "x.test", "") + Request("POST", "/b", "x.test", body) + chunked
	want := []string{SumText("GET", "/a", ""), SumText("POST", "/b", body),
		SumText("PUT", "/c?n=3000&chunked=1", strings.Repeat("c", 2000))}
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(NewChecking(t).URL)+SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		for version, c := range versions(ca, "x.test") {
			w := Secure(t, addr, c)
			go func() {
				for range turns {
					_, _ = io.WriteString(w.conn, batch) // the reader finds out
				}
			}()
			for i := range turns {
				for _, sum := range want {
					res := w.ReadResponse("GET")
					if res.Header.Get("X-Sum") != sum || !strings.HasPrefix(res.Text, sum) {
						t.Fatalf("%s, turn %d: %d %.80q", version, i, res.StatusCode, res.Text)
					}
				}
			}
			w.Close()
		}
		p.Stop()
	})
}
