package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
)

func TestGet(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Saw", r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("Via"))
			fmt.Fprintf(w, "hello %s", r.URL.Path)
		})
		r := start(t, open(), []string{up}, nil)
		c := client(t)
		for i := range 20 {
			res, err := c.Get(fmt.Sprintf("http://%s/p/%d", r.addr, i))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != 200 || string(body) != fmt.Sprintf("hello /p/%d", i) {
				t.Fatalf("%d %q", res.StatusCode, body)
			}
			if want := r.addr + " 127.0.0.1 1.1 uringproxy"; res.Header.Get("X-Saw") != want {
				t.Fatalf("upstream saw %q, want %q", res.Header.Get("X-Saw"), want)
			}
		}
	})
}

// exchangeRaw sends raw bytes and returns everything until the proxy closes.
func exchangeRaw(t *testing.T, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, all)
	}
	return string(all)
}

func TestPipelining(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s.", r.URL.Path, b)
		})
		r := start(t, open(), []string{up}, nil)
		var raw strings.Builder
		const n = 60
		for i := range n {
			body := strings.Repeat("x", i*7)
			fmt.Fprintf(&raw, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n", i, len(body))
			if i == n-1 {
				raw.WriteString("Connection: close\r\n")
			}
			raw.WriteString("\r\n" + body)
		}
		got := exchangeRaw(t, r.addr, raw.String())
		br := bufio.NewReader(strings.NewReader(got))
		for i := range n {
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(i, err)
			}
			b, _ := io.ReadAll(res.Body)
			if want := fmt.Sprintf("/%d %s.", i, strings.Repeat("x", i*7)); string(b) != want {
				t.Fatalf("response %d: %q, want %q", i, b, want)
			}
		}
	})
}

// Bodies of many sizes and framings in both directions at once, each compared with what was sent.
func TestBodies(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			h := sha256.New()
			n, err := io.Copy(h, r.Body)
			if err != nil {
				http.Error(w, err.Error(), 400)
				return
			}
			w.Header().Set("X-Got", fmt.Sprintf("%d %s", n, hex.EncodeToString(h.Sum(nil))))
			var size int
			var framing string
			fmt.Sscanf(r.URL.Path, "/%d/%s", &size, &framing)
			body := pattern(size)
			switch framing {
			case "length":
				w.Header().Set("Content-Length", fmt.Sprint(size))
				w.Write(body)
			case "chunked":
				for len(body) > 0 {
					n := min(len(body), 1+rand.IntN(30000))
					w.Write(body[:n])
					w.(http.Flusher).Flush()
					body = body[n:]
				}
			case "close":
				c, _, _ := w.(http.Hijacker).Hijack()
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Got: %s\r\n\r\n", w.Header().Get("X-Got"))
				c.Write(body)
				c.Close()
			}
		})
		r := start(t, open(), []string{up}, nil)
		c := client(t)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range fewer(25) {
					size := []int{0, 1, 100, 4095, 4096, 4097, 20000, 65536, 300000, 3 << 20}[(g+i)%10]
					out := []int{0, 1, 3000, 5000, 70000, 1 << 20}[(g*3+i)%6]
					framing := []string{"length", "chunked", "close"}[(g+2*i)%3]
					sent := pattern(out)
					var rd io.Reader = bytes.NewReader(sent)
					if i%2 == 1 {
						rd = io.MultiReader(rd) // hides the length: chunked
					}
					req, _ := http.NewRequest("POST", fmt.Sprintf("http://%s/%d/%s", r.addr, size, framing), rd)
					res, err := c.Do(req)
					if err != nil {
						t.Errorf("%d/%s with %d up: %v", size, framing, out, err)
						return
					}
					got, err := io.ReadAll(res.Body)
					res.Body.Close()
					sum := sha256.Sum256(sent)
					if want := fmt.Sprintf("%d %s", out, hex.EncodeToString(sum[:])); res.Header.Get("X-Got") != want {
						t.Errorf("upload of %d: %d, upstream got %q, want %q",
							out, res.StatusCode, res.Header.Get("X-Got"), want)
					}
					if err != nil || !bytes.Equal(got, pattern(size)) {
						t.Errorf("%d/%s: got %d bytes, %v", size, framing, len(got), err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// patterned is one period of pattern, made once: under the race detector each byte takes its time.
var patterned = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<24)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
})

// pattern is up to 16 MiB, to be read only, in which no shift goes unseen.
func pattern(n int) []byte { return patterned()[:n:n] }
