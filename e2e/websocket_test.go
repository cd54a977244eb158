package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/websocket"
)

// Frames of every kind pass as they are, fragmented, with control frames in between, huge, compressed, and broken: they
// are not looked at. Some of them are there before the answer is.
func TestWebSocketFramesUntouched(t *testing.T) {
	up, down := frames(true, 1), frames(false, 2)
	got := make(chan string, 1)
	h := hijacked(t, func(w *Wire) {
		sent := make(chan bool)
		go func() {
			w.TrySend(string(down))
			w.CloseWrite()
			close(sent)
		}()
		b, err := io.ReadAll(w.in)
		<-sent
		if fault := sameBytes(b, up); fault != "" || err != nil {
			got <- fmt.Sprint(fault, " ", err)
		} else {
			got <- ""
		}
	})
	Modes(t, func(t *testing.T, mode Mode) {
		p := openFronts(t, mode, h, "")
		for i, f := range p.fronts {
			w := f.dial(t)
			ahead := []int{0, 1, 5000, len(up)}[i]
			w.Send(WebSocketRequest(f.path, f.addr) + string(up[:ahead]))
			head := w.ReadHead()
			if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, webSocketAccept) {
				t.Fatalf("%s: %q", f.name, head)
			}
			go func() { // in pieces of all sizes
				rng := rand.New(rand.NewPCG(3, 3))
				for rest := up[ahead:]; len(rest) > 0; {
					n := min(len(rest), 1+rng.IntN(1<<rng.IntN(17)))
					w.TrySend(string(rest[:n]))
					rest = rest[n:]
				}
				w.CloseWrite()
			}()
			b, err := io.ReadAll(w.in)
			if fault := sameBytes(b, down); fault != "" || err != nil {
				t.Errorf("%s: the client got %s, %v", f.name, fault, err)
			}
			if fault := <-got; fault != "" {
				t.Errorf("%s: the upstream got %s", f.name, fault)
			}
		}
		p.Stop()
	})
}

// Many clients in Go at once, with messages of sizes at which frames have another form.
func TestWebSocketOfGo(t *testing.T) {
	h := websocket.Server{Handler: func(c *websocket.Conn) {
		var b []byte
		for websocket.Message.Receive(c, &b) == nil && websocket.Message.Send(c, b) == nil {
		}
	}}
	sizes := []int{0, 1, 125, 126, 127, 4096, 65535, 65536, 300_000}
	Modes(t, func(t *testing.T, mode Mode) {
		p := openFronts(t, mode, h, "")
		var all sync.WaitGroup
		for i := range 40 {
			f := p.fronts[i%len(p.fronts)]
			all.Go(func() {
				config, err := websocket.NewConfig(f.url("ws"), "http://origin.test")
				if err != nil {
					t.Error(err)
					return
				}
				config.TlsConfig = f.tls
				c, err := config.DialContext(t.Context())
				if err != nil {
					t.Errorf("%s: %v", f.name, err)
					return
				}
				defer c.Close()
				for _, n := range sizes {
					sent, back := bytes.Repeat([]byte{byte(i)}, n), []byte(nil)
					err := websocket.Message.Send(c, sent)
					if err == nil {
						err = websocket.Message.Receive(c, &back)
					}
					if err != nil || !bytes.Equal(sent, back) {
						t.Errorf("%s: %d bytes of %d came back, %v", f.name, len(back), n, err)
						return
					}
				}
			})
		}
		all.Wait()
		p.Stop()
	})
}

// socketPage opens a socket, sends through it, and shows what comes back. Then it says so, upon which it gets the image
// that it waits for to be complete.
const socketPage = `<!DOCTYPE html><title>e2e</title><link rel="icon" href="data:,"><p id="p">loading</p><script>
const s = new WebSocket(location.href.replace("http", "ws") + "socket")
s.binaryType = "arraybuffer"
let got = []
s.onopen = () => {
	s.send("Grüße")
	s.send(new Uint8Array(1 << 20).fill(7))
	s.send("x".repeat(70000))
}
s.onmessage = e => {
	const b = e.data
	got.push(typeof b == "string" ? b.length + b[0] : b.byteLength + "/" + new Uint8Array(b).every(x => x == 7))
	if (got.length == 3) s.close(4321, "enough")
}
s.onerror = () => got.push("error")
s.onclose = e => {
	document.getElementById("p").textContent = "echoed " + got.join(" ") + " " + e.code + " " + e.wasClean
	fetch("said", {method: "POST"})
}
</script><img src="done">`

// A browser opens a socket from a page, over the same listener.
func TestWebSocketOfChromium(t *testing.T) {
	const want = "echoed 5G 1048576/true 70000x 4321 true<"
	Modes(t, func(t *testing.T, mode Mode) {
		done := make(chan bool)
		mux := http.NewServeMux()
		for _, root := range []string{"/", "/tls/"} {
			mux.HandleFunc(root, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprint(w, socketPage)
			})
			mux.HandleFunc(root+"done", func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-done:
				case <-r.Context().Done():
				}
			})
			mux.HandleFunc(root+"said", func(http.ResponseWriter, *http.Request) { done <- true })
			mux.Handle(root+"socket", hijacked(t, echoFrames))
		}
		p := openFronts(t, mode, mux, "")
		f := p.fronts[3]
		if mode.Name == "epoll" { // a browser takes seconds to start
			f = p.fronts[0]
		}
		browser := launch(t, exec.Command(Tool(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu",
			"--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server",
			"--user-data-dir="+t.TempDir(), "--ignore-certificate-errors-spki-list="+fingerprint(p.identity),
			"--timeout=20000", "--dump-dom", f.url("http")))
		if code := browser.Wait(); code != 0 || !strings.Contains(browser.Output(), want) {
			t.Errorf("%s: exit code %d, and the page has not got back what it sent", f.name, code)
		}
		p.Stop()
	})
}

// nodeScript is a server or a client with Node's ws, which compresses messages.
const nodeScript = `
const { WebSocketServer, WebSocket } = require("ws")
const [what, url, ca] = process.argv.slice(2)
const deflate = { perMessageDeflate: { threshold: 10 }, maxPayload: 1 << 25 }
if (what == "serve") {
	const options = { host: "127.0.0.1", port: 0, ...deflate }
	const s = new WebSocketServer(options, () => console.log("port " + s.address().port))
	s.on("connection", c => c.on("message", (m, binary) => c.send(m, { binary })))
} else {
	const sizes = [0, 1, 125, 126, 65535, 65536, 1 << 20]
	const c = new WebSocket(url, { ...deflate, ca: ca && require("fs").readFileSync(ca) })
	let n = 0, pongs = 0
	const next = () => n < sizes.length ? c.send(Buffer.alloc(sizes[n], "abc")) : c.close(4000, "done")
	c.on("open", () => { c.ping("are you there"); next() })
	c.on("pong", () => pongs++)
	c.on("message", m => {
		if (!Buffer.alloc(sizes[n], "abc").equals(m)) process.exit(1)
		n++
		next()
	})
	c.on("close", code => console.log("echoed", n, pongs, code, c.extensions))
	c.on("error", e => console.log("error", e.message))
}`

// Node's ws at both ends, with compression.
func TestWebSocketOfNode(t *testing.T) {
	node := Tool(t, "node")
	env := append(os.Environ(), "NODE_PATH="+os.Getenv("NODE_PATH")+":/usr/share/nodejs") // where Debian has modules
	probe := exec.Command(node, "-e", `require("ws")`)
	probe.Env = env
	if out, err := probe.CombinedOutput(); err != nil {
		t.Fatalf("node's module ws cannot be used, \"make test\" installs it: %v\n%s", err, out)
	}
	script := filepath.Join(t.TempDir(), "ws.js")
	do(t, os.WriteFile(script, []byte(nodeScript), 0o600))
	run := func(args ...string) *process {
		cmd := exec.Command(node, append([]string{script}, args...)...)
		cmd.Env = env
		return launch(t, cmd)
	}
	Modes(t, func(t *testing.T, mode Mode) {
		server := run("serve")
		server.WaitOutput("port ", 1)
		_, port, _ := strings.Cut(server.Output(), "port ")
		ca, ws, wss := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config("http://"+net.JoinHostPort("127.0.0.1", strings.TrimSpace(port)), ws)+
			SecureListener("s", wss, ca.Issue([]string{"127.0.0.1"})))
		for _, url := range []string{"ws://" + ws, "wss://" + wss} {
			client := run("talk", url, ca.File)
			client.WaitOutput("\n", 1)
			if got := client.Output(); got != "echoed 7 1 4000 permessage-deflate\n" {
				t.Errorf("%s: %s", url, got)
			}
		}
		p.Stop()
	})
}

// A stream outlives reloads that remove its route and its service, and ends with the time that a shutdown has.
func TestWebSocketReloadAndShutdown(t *testing.T) {
	h := hijacked(t, func(w *Wire) {
		for w.guard(); ; {
			b, err := w.in.ReadByte()
			if err != nil || !w.TrySend(string(b)) {
				return
			}
		}
	})
	other := NewChecking(t)
	Engines(t, func(t *testing.T, engine string) {
		p := openFronts(t, Mode{Name: engine, args: []string{"--engine", engine}}, h, "[timeouts]\ndrain = \"300ms\"\n")
		var open []*Wire
		for _, f := range p.fronts {
			w := f.dial(t)
			w.Send(WebSocketRequest(f.path, f.addr))
			w.ReadHead()
			open = append(open, w)
		}
		talk := func() {
			t.Helper()
			for _, w := range open {
				w.Send("x")
				w.Expect("x")
			}
		}
		talk()
		p.Rewrite(Config(other.URL, p.fronts[0].addr) + "[timeouts]\ndrain = \"300ms\"\n")
		p.WaitOutput(reloaded, 1)
		talk()
		plain := Raw(t, p.fronts[0].addr)
		plain.Send(WebSocketRequest("/", "a"))
		if res := plain.ReadResponse("GET"); res.StatusCode != 200 {
			t.Errorf("status %d after the reload", res.StatusCode)
		}
		plain.Close()
		p.Signal(syscall.SIGTERM)
		for _, w := range open {
			w.guard()
			if b, err := io.ReadAll(w.in); err == nil || len(b) > 0 {
				t.Errorf("the stream ends with %q, %v at a shutdown", b, err)
			}
		}
		p.Wait()
	})
}

// curl goes through a route that allows CONNECT, to an upstream that is a proxy of that kind.
func TestConnectOfCurl(t *testing.T) {
	curl := Tool(t, "curl")
	target := NewChecking(t)
	tunnels := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "CONNECT" || r.Host != target.Listener.Addr().String() {
			http.Error(w, "no tunnel to "+r.Host, http.StatusForbidden)
			return
		}
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer far.Close()
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() {
			io.Copy(far, rw)
			far.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(conn, far)
	})
	Modes(t, func(t *testing.T, mode Mode) {
		p := openFronts(t, mode, tunnels, "")
		addr := p.fronts[0].addr
		body := strings.Repeat("x", 100_000)
		ask := func(url string) string {
			out, _ := exec.Command(curl, "-sS", "-w", "%{http_connect} %{http_code}", "--proxytunnel", "--proxy",
				"http://"+addr, "-d", body, url).CombinedOutput()
			return string(out)
		}
		if got := ask(target.URL + "/a"); !strings.HasSuffix(got, "405 000") {
			t.Errorf("without leave: %s", got)
		}
		text, err := os.ReadFile(p.Config)
		do(t, err)
		p.Rewrite(strings.Replace(string(text), "[routes.all]", "[routes.all]\nconnect = true", 1))
		p.WaitOutput(reloaded, 1)
		want := SumText("POST", "/a", body)
		if got := ask(target.URL + "/a"); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "200 200") {
			t.Errorf("through the tunnel: %s", got)
		}
		if got := ask("http://localhost:1/"); !strings.HasSuffix(got, "403 000") {
			t.Errorf("where the upstream refuses: %s", got)
		}
		p.Stop()
	})
}
