package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// corpus is where the parser's test messages are; its format is described there.
const corpus = "../proxy/h1/testdata"

// refusedMessages reads the messages of one kind that are refused under the usual limits, by name.
func refusedMessages(t *testing.T, kind string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, kind, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("read corpus: %v, %d files", err, len(files))
	}
	messages := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		facts, text, _ := strings.Cut(string(b), "\n--\n")
		facts = "\n" + facts
		if !strings.Contains(facts, "\nrefused: ") || strings.Contains(facts, "\nlimits: ") {
			continue
		}
		_, repeat, _ := strings.Cut(facts, "\nrepeat: ")
		repeat, _, _ = strings.Cut(repeat, "\n")
		times, what, _ := strings.Cut(repeat, " times ")
		n, _ := strconv.Atoi(times) // no repeat: no times
		what = strings.Repeat(what, n)
		text = strings.NewReplacer("\n", "", `\|`, "", `\*`, what, `\0`, `\x00`, `"`, `\"`).Replace(text)
		message, err := strconv.Unquote(`"` + text + `"`)
		if err != nil {
			t.Fatalf("%s: %v in %s", file, err, text)
		}
		messages[kind+"/"+strings.TrimSuffix(filepath.Base(file), ".txt")] = message
	}
	return messages
}

// smuggled is what an attacker wants the upstream to take for a request of its own.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n"

// witness is an upstream that remembers the requests it has seen, and whether their bodies came to an end.
type witness struct {
	*Scripted
	mu    sync.Mutex
	heads []string
	whole int
}

func newWitness(t *testing.T) *witness {
	w := &witness{}
	w.Scripted = NewScripted(t, func(p *Peer) {
		for {
			head := p.ReadHead()
			w.mu.Lock()
			w.heads = append(w.heads, head)
			w.mu.Unlock()
			if strings.Contains(head, "Transfer-Encoding: chunked\r\n") {
				for line := ""; line != "0\r\n"; { // an end, as far as such an upstream can tell
					text, err := p.in.ReadString('\n')
					if err != nil {
						return
					}
					line = text
				}
			}
			w.mu.Lock()
			w.whole++
			w.mu.Unlock()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	return w
}

// saw returns what has come since the last call.
func (w *witness) saw() (heads []string, whole int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	heads, whole = w.heads, w.whole
	w.heads, w.whole = nil, 0
	return heads, whole
}

var (
	refusal = regexp.MustCompile(`^HTTP/1\.1 (400|413|414|417|431|501|505) `)
	answer  = regexp.MustCompile(`HTTP/1\.1 \d`)
)

// attack sends message and expects one refusal and the end.
func attack(t *testing.T, addr, message string) {
	t.Helper()
	w := Raw(t, addr)
	defer w.Close()
	w.TrySend(message) // the proxy may close before it has all of it
	text := w.ReadAll()
	if !refusal.MatchString(text) || len(answer.FindAllString(text, -1)) != 1 ||
		!strings.Contains(text, "Connection: close\r\n") {
		t.Errorf("%.200q was answered with %.300q", message, text)
	}
}

// Requests that two programs can read differently: refused, and the upstream sees nothing of them, nor of what is
// behind.
func TestRequestSmuggling(t *testing.T) {
	messages := refusedMessages(t, "request")
	Engines(t, func(t *testing.T, engine string) {
		up := newWitness(t)
		p, addr := limited(t, engine, up.URL(), "")
		for name, message := range messages {
			attack(t, addr, message+smuggled)
			if heads, _ := up.saw(); len(heads) != 0 {
				t.Errorf("%s: the upstream saw %q", name, heads)
			}
		}
		t.Logf("%d messages", len(messages))
		p.Stop()
	})
}

// Bodies that two programs can read differently: the upstream may see the request's head, but never the body's end, and
// nothing behind it.
func TestBodySmuggling(t *testing.T) {
	messages := refusedMessages(t, "chunked")
	for name, body := range map[string]string{
		"too large at once":  fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 200_000, strings.Repeat("x", 200_000)),
		"request in a chunk": fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 2000*len(smuggled), strings.Repeat(smuggled, 2000)),
		"many small chunks":  strings.Repeat(fmt.Sprintf("%x\r\n%s\r\n", len(smuggled), smuggled), 2000) + "0\r\n\r\n",
		"just too large": fmt.Sprintf("%x\r\n%s\r\n", len(smuggled), smuggled) +
			strings.Repeat("1\r\nx\r\n", 490) + "0\r\n\r\n",
	} {
		messages[name] = body
	}
	Engines(t, func(t *testing.T, engine string) {
		up := newWitness(t)
		p, addr := limited(t, engine, up.URL(), "[limits]\nbody_bytes = \"2KB\"\n")
		head := Request("POST", "/", "x.test", "", "Transfer-Encoding: chunked")
		for name, body := range messages {
			attack(t, addr, head+body+smuggled)
			heads, whole := up.saw()
			if len(heads) > 1 || whole != 0 || len(heads) == 1 && !strings.HasPrefix(heads[0], "POST / ") {
				t.Errorf("%s: the upstream saw %q, %d of them to their end", name, heads, whole)
			}
		}
		t.Logf("%d messages", len(messages))
		p.Stop()
	})
}

// An upstream whose response is followed by another one that nobody asked for: the next client must not get it.
func TestResponseSmuggling(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
		up := NewScripted(t, func(p *Peer) {
			p.ReadHead()
			p.Send(answer + "ok" + answer + "no")
			p.Stall()
		})
		p, addr := limited(t, engine, up.URL(), "")
		for range 20 {
			w := Raw(t, addr)
			w.Send(Request("GET", "/", "x.test", ""))
			if res := w.ReadResponse("GET"); res.Text != "ok" {
				t.Errorf("%d %q", res.StatusCode, res.Text)
			}
			w.Close()
		}
		p.Stop()
	})
}
