package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sizes of bodies: around the buffers' ends and the queues' limits.
var sizes = []int64{0, 1, 100, 4095, 4096, 4097, 65_535, 131_072, 131_073, 262_145, 1 << 20, 9_999_999}

// behind runs a proxy with one shard on each engine before a real server, and gives test its base URL.
func behind(t *testing.T, up *Server, test func(t *testing.T, base string)) {
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL(), addr), "--engine", engine, "--shards", "1")
		test(t, "http://"+addr)
		p.Stop()
	})
}

// exchangeSizes sends and fetches bodies of every size, with and without chunks, through a server that passes them on
// to a checking upstream.
func exchangeSizes(t *testing.T, base string) {
	client := Client(t)
	for _, n := range sizes {
		for _, chunked := range []bool{false, true} {
			target := fmt.Sprintf("/echo?n=%d", n)
			if chunked {
				target += "&chunked=1"
			}
			for _, c := range []Call{
				{Method: "PUT", Target: target, Body: n, Chunked: chunked, Want: n},
				{Method: "GET", Target: target, Want: n},
				{Method: "HEAD", Target: target},
			} {
				if err := c.Do(client, base); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// continueFirst sends a body only after the interim response that asks for it.
func continueFirst(t *testing.T, base string) {
	w := Raw(t, strings.TrimPrefix(base, "http://"))
	w.Send(Request("POST", "/echo", "x.test", "", "Content-Length: 4", "Expect: 100-continue"))
	w.Expect("HTTP/1.1 100 Continue\r\n\r\n")
	w.Send("body")
	if res := w.ReadResponse("POST"); res.Header.Get("X-Sum") != SumText("POST", "/echo", "body") {
		t.Errorf("%d %q", res.StatusCode, res.Text)
	}
}

func TestNginx(t *testing.T) {
	checking := NewChecking(t)
	up := Nginx(t, `
		add_header X-Connection $connection always;
		location /echo {
			proxy_pass `+checking.URL+`; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
		}`)
	for _, n := range sizes {
		var file bytes.Buffer
		_, _ = io.Copy(&file, Body("file", n)) // neither can fail
		if err := os.WriteFile(filepath.Join(up.Dir, fmt.Sprint(n)), file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	behind(t, up, func(t *testing.T, base string) {
		t.Run("files", func(t *testing.T) { nginxFiles(t, base) })
		t.Run("ranges", func(t *testing.T) { nginxRanges(t, base) })
		t.Run("sizes", func(t *testing.T) { exchangeSizes(t, base) })
		t.Run("continue", func(t *testing.T) { continueFirst(t, base) })
	})
}

// nginxFiles fetches files, asks again for those that have not changed, and expects nginx to see one connection.
func nginxFiles(t *testing.T, base string) {
	client := Client(t)
	connections := map[string]bool{}
	for _, n := range sizes {
		url := fmt.Sprintf("%s/%d", base, n)
		res := get(t, client, "GET", url)
		if err := CheckBody(res.Body, "file", n); err != nil || res.StatusCode != 200 {
			t.Errorf("%d bytes: status %d, %v", n, res.StatusCode, err)
		}
		connections[res.Header.Get("X-Connection")] = true
		if head := get(t, client, "HEAD", url); head.ContentLength != n || head.StatusCode != 200 {
			t.Errorf("HEAD of %d bytes: status %d, length %d", n, head.StatusCode, head.ContentLength)
		}
		same := get(t, client, "GET", url, "If-None-Match", res.Header.Get("ETag"))
		if err := CheckBody(same.Body, "file", 0); err != nil || same.StatusCode != 304 {
			t.Errorf("%d bytes asked for again: status %d, %v", n, same.StatusCode, err)
		}
		connections[same.Header.Get("X-Connection")] = true
	}
	if len(connections) != 1 {
		t.Errorf("nginx saw the connections %v, want a single one", connections)
	}
	if res := get(t, client, "GET", base+"/missing"); res.StatusCode != 404 {
		t.Errorf("status %d of a missing file", res.StatusCode)
	}
}

func nginxRanges(t *testing.T, base string) {
	client := Client(t)
	whole, _ := io.ReadAll(Body("file", 1<<20)) // it cannot fail
	url := fmt.Sprintf("%s/%d", base, len(whole))
	for _, r := range [][2]int{{0, 0}, {1, 4096}, {65_530, 262_144}, {1<<20 - 1, 1<<20 - 1}} {
		res := get(t, client, "GET", url, "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 206 || !bytes.Equal(body, whole[r[0]:r[1]+1]) {
			t.Errorf("range %v: status %d, %d bytes, %v", r, res.StatusCode, len(body), err)
		}
	}
	if res := get(t, client, "GET", url, "Range", "bytes=2000000-"); res.StatusCode != 416 {
		t.Errorf("status %d of a range behind the end", res.StatusCode)
	}
	res := get(t, client, "GET", url, "Range", "bytes=0-9,100000-100009")
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 206 || !bytes.Contains(body, whole[100_000:100_010]) {
		t.Errorf("two ranges: status %d, %q, %v", res.StatusCode, body, err)
	}
}

func TestHAProxy(t *testing.T) {
	checking := NewChecking(t)
	up := HAProxy(t, `	http-request early-hint Link "</style.css>; rel=preload" if { path /hints }
	http-request return status 200 content-type text/plain string hinted if { path /hints }
	default_backend up
backend up
	server one `+checking.Listener.Addr().String())
	behind(t, up, func(t *testing.T, base string) {
		t.Run("early hints", func(t *testing.T) { earlyHints(t, base) })
		t.Run("sizes", func(t *testing.T) { exchangeSizes(t, base) })
		t.Run("continue", func(t *testing.T) { continueFirst(t, base) })
	})
}

func earlyHints(t *testing.T, base string) {
	req, err := http.NewRequest("GET", base+"/hints", nil)
	if err != nil {
		t.Fatal(err)
	}
	var interim []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		interim = append(interim, fmt.Sprint(code, " ", header.Get("Link")))
		return nil
	}}
	res, err := Client(t).Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "hinted" {
		t.Errorf("body %q, %v", body, err)
	}
	if len(interim) != 1 || interim[0] != "103 </style.css>; rel=preload" {
		t.Errorf("interim responses %q", interim)
	}
}

// Many at once, each different from all others: each answer must belong to its request.
func TestNothingIsMixedUp(t *testing.T) {
	const clients, requests = 64, 60
	Engines(t, func(t *testing.T, engine string) {
		up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL, addr), "--engine", engine)
		client := Client(t)
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				for j := range requests {
					if err := randomCall(random, i, j).Do(client, "http://"+addr); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		p.Stop()
		if want := fmt.Sprintf("served %d requests\"", clients*requests); !strings.Contains(p.Output(), want) {
			t.Errorf("the summary is not %s", want)
		}
	})
}

func randomCall(random *rand.Rand, client, n int) Call {
	size := func() int64 { // mostly small, rarely large
		most := []int64{10, 1000, 5000, 20_000, 300_000}[min(random.IntN(5), random.IntN(5))]
		return random.Int64N(most)
	}
	c := Call{
		Method: []string{"GET", "HEAD", "POST", "PUT", "DELETE"}[random.IntN(5)],
		Header: http.Header{"X-Test-Pad": {strings.Repeat("p", random.IntN(3000))}},
		Want:   size(),
	}
	c.Target = fmt.Sprintf("/%d/%d?n=%d", client, n, c.Want)
	if random.IntN(2) == 0 {
		c.Target += "&chunked=1"
	}
	if c.Method == "POST" || c.Method == "PUT" {
		c.Body, c.Chunked = size(), random.IntN(2) == 0
	}
	return c
}
