package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
)

// bulkConfig gives a shard little memory for data on its way, and those who are slow all the time they want.
func bulkConfig(up, addr string) string {
	return Config(up, addr) + "[limits]\nshard_buffer_bytes = \"16MiB\"\nmin_body_rate = \"0\"\n"
}

// bulkMemory is what a proxy with bulkConfig and one shard may use in all: its buffers, and the program itself.
const bulkMemory = 40 << 20

// bulkBytes is the length of a large body: one gibibyte, or four when there is time.
func bulkBytes() int64 {
	if os.Getenv("URINGPROXY_SOAK") != "" {
		return 4 << 30
	}
	return 1 << 30
}

// newBulk is an upstream that sends Body("bulk", n) for ?n= and checks that what it gets is Body("bulk", length).
func newBulk(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64); err == nil {
			w.Header().Set("Content-Length", fmt.Sprint(n))
			_, _ = io.Copy(w, Body("bulk", n)) // the client finds out
			return
		}
		length, err := strconv.ParseInt(r.Header.Get("X-Length"), 10, 64)
		if err == nil {
			err = CheckBody(r.Body, "bulk", length)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// watch measures a proxy's memory for as long as work takes, and checks that it stays within its budget.
func (p *Proxy) watch(work func()) {
	p.t.Helper()
	p.atMost(bulkMemory, work)
}

// atMost is watch with a budget of limit bytes.
func (p *Proxy) atMost(limit int64, work func()) {
	p.t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); work() }()
	var most int64
	for over := false; !over; {
		most = max(most, p.AnonBytes())
		select {
		case <-done:
			over = true
		default:
		}
	}
	p.t.Logf("at most %d KiB of memory", most>>10)
	if most > limit && raceFlags == nil {
		p.t.Errorf("%d bytes of memory, want at most %d", most, limit)
	}
}

func download(client *http.Client, url string, n int64) error {
	res, err := client.Get(fmt.Sprintf("%s/?n=%d", url, n))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return CheckBody(res.Body, "bulk", n)
}

// upload sends n bytes, in chunks when their length is not to be announced.
func upload(client *http.Client, url string, n int64, chunked bool) error {
	req, err := http.NewRequest("PUT", url+"/", io.NopCloser(Body("bulk", n)))
	if err != nil {
		return err
	}
	req.Header.Set("X-Length", fmt.Sprint(n))
	if req.ContentLength = n; chunked {
		req.ContentLength = -1
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body) // whatever there is
		return fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return nil
}

// A gibibyte in each direction, through little memory.
func TestBulk(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up, addr := newBulk(t), FreeAddr(t, "127.0.0.1")
		p := Start(t, bulkConfig(up.URL, addr), "--engine", engine, "--shards", "1")
		client := Client(t)
		for name, transfer := range map[string]func() error{
			"down":       func() error { return download(client, "http://"+addr, bulkBytes()) },
			"up":         func() error { return upload(client, "http://"+addr, bulkBytes(), false) },
			"up, chunks": func() error { return upload(client, "http://"+addr, bulkBytes()/4, true) },
		} {
			p.watch(func() {
				if err := transfer(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		p.Stop()
	})
}

// slowly is a connection that is read from only when it may be.
type slowly struct {
	net.Conn
	begun sync.Once
	read  chan<- struct{} // told when the response has begun
	goOn  <-chan struct{}
}

func (c *slowly) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 1000)])
	c.begun.Do(func() {
		c.read <- struct{}{}
		<-c.goOn
	})
	return n, err
}

// Clients that do not read for a while, and an upstream that does not: they take a fixed amount of memory, nobody else
// on their shard notices, and nothing is lost when they go on.
func TestSlowReaders(t *testing.T) {
	const clients, each = 200, 8 << 20
	Engines(t, func(t *testing.T, engine string) {
		up, addr := newBulk(t), FreeAddr(t, "127.0.0.1")
		p := Start(t, bulkConfig(up.URL, addr), "--engine", engine, "--shards", "1")
		stalled, goOn := make(chan struct{}, clients), make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		defer resume()
		slow := Client(t)
		dial := func(_ context.Context, network, address string) (net.Conn, error) {
			c, err := net.DialTimeout(network, address, hang)
			return &slowly{Conn: c, read: stalled, goOn: goOn}, err
		}
		slow.Transport.(*http.Transport).DialContext = dial
		p.watch(func() {
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					if err := download(slow, "http://"+addr, each); err != nil {
						t.Error(err)
					}
				})
			}
			for range clients {
				<-stalled
			}
			quick := Client(t)
			for range 50 {
				if err := download(quick, "http://"+addr, 100_000); err != nil {
					t.Error(err)
				}
				if err := upload(quick, "http://"+addr, 100_000, false); err != nil {
					t.Error(err)
				}
			}
			resume()
			all.Wait()
		})
		p.Stop()
	})
}

// Upstreams that do not read for a while.
func TestSlowUpstreams(t *testing.T) {
	const clients, each = 200, 8 << 20
	Engines(t, func(t *testing.T, engine string) {
		taken, goOn := make(chan struct{}, clients), make(chan struct{})
		resume := sync.OnceFunc(func() { close(goOn) })
		defer resume()
		bulk := newBulk(t)
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Length") == fmt.Sprint(each) {
				taken <- struct{}{}
				<-goOn
			}
			bulk.Config.Handler.ServeHTTP(w, r)
		}))
		defer up.Close()
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, bulkConfig(up.URL, addr), "--engine", engine, "--shards", "1")
		client := Client(t)
		p.watch(func() {
			var all sync.WaitGroup
			for i := range clients {
				all.Go(func() {
					if err := upload(client, "http://"+addr, each, i%2 == 0); err != nil {
						t.Error(err)
					}
				})
			}
			for range clients {
				<-taken
			}
			for range 50 {
				if err := download(client, "http://"+addr, 100_000); err != nil {
					t.Error(err)
				}
			}
			resume()
			all.Wait()
		})
		p.Stop()
	})
}
