package h1

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A file of the corpus is a list of "key: value", a line "--", and the message. Lines of the message are
// joined without anything between them; its bytes are written with Go's escapes. In a message that is
// refused the mark \| stands behind the byte that makes the fault; without it that is the last byte. \*
// stands for what the key "repeat" describes ("N times TEXT").
//
// The keys "accepted" and "refused" say what is to happen; "why" is for readers; "limits" holds line,
// header and fields. What judges a head that Feed has accepted is called where a key asks for it: WebSocket by
// "handshake", Switched by "offered", which holds the protocols, with "key" and "early". Every other key is a fact
// about the result.
type corpusCase struct {
	name    string
	refused string
	limits  Limits
	facts   [][2]string
	further func(p *Parser, head []byte) Code // what judges the head when Feed has accepted it; nil: nothing
	offer   Offer
	msg     []byte
	fault   int // bytes up to and including the one that makes the fault
}

func readCorpus(t testing.TB, kind string) []*corpusCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("read corpus %s: %v, %d files", kind, err, len(files))
	}
	cases := make([]*corpusCase, len(files))
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("read corpus: %v", err)
		}
		if cases[i], err = parseCase(string(text)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cases[i].name = strings.TrimSuffix(filepath.Base(file), ".txt")
	}
	return cases
}

func parseCase(text string) (c *corpusCase, err error) {
	c = &corpusCase{}
	head, body, ok := strings.Cut(text, "\n--\n")
	if !ok {
		return c, fmt.Errorf("no line \"--\" between facts and message")
	}
	repeat, verdict := "", ""
	for line := range strings.SplitSeq(head, "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return c, fmt.Errorf("line %q: want \"key: value\"", line)
		}
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "why":
		case "accepted":
			verdict = key
		case "refused":
			verdict, c.refused = key, value
		case "limits":
			for word := range strings.FieldsSeq(value) {
				name, n, _ := strings.Cut(word, "=")
				l := &c.limits
				limit := map[string]*int{"line": &l.LineBytes, "header": &l.HeaderBytes, "fields": &l.Fields}[name]
				if *limit, err = strconv.Atoi(n); err != nil {
					return c, err
				}
			}
		case "repeat":
			n, what, _ := strings.Cut(value, " times ")
			times, err := strconv.Atoi(n)
			if err != nil {
				return c, err
			}
			repeat = strings.Repeat(what, times)
		case "handshake":
			c.further = (*Parser).WebSocket
		case "offered":
			c.offer.Protocols = []byte(value)
			c.offer.Complete = true
			c.further = func(p *Parser, head []byte) Code { return p.Switched(head, &c.offer) }
		case "key":
			c.offer.Key = []byte(value)
		case "early":
			c.offer.Complete = false
		default:
			c.facts = append(c.facts, [2]string{key, value})
		}
	}
	if verdict == "" {
		return c, fmt.Errorf("neither accepted nor refused")
	}
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\n", ""), `\*`, repeat)
	before, after, marked := strings.Cut(body, `\|`)
	if c.msg, err = unescape(before); err != nil {
		return c, err
	}
	c.fault = len(c.msg)
	rest, err := unescape(after)
	c.msg = append(c.msg, rest...)
	if marked && verdict == "accepted" {
		return c, fmt.Errorf("mark in a message that is accepted")
	}
	return c, err
}

func unescape(s string) ([]byte, error) {
	var out []byte
	s = strings.ReplaceAll(s, `\0`, `\x00`)
	for len(s) > 0 {
		if s[0] >= 0x80 {
			return nil, fmt.Errorf("byte %#x must be escaped", s[0])
		}
		r, _, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			return nil, fmt.Errorf("unescape %q: %w", s, err)
		}
		out = append(out, byte(r))
		s = rest
	}
	return out, nil
}

// seeds gives the messages of the corpus to a fuzz target.
func seeds(f *testing.F, kind string, extra ...any) {
	for _, c := range readCorpus(f, kind) {
		if len(c.msg) < 2000 {
			f.Add(append([]any{c.msg}, extra...)...)
		}
	}
}

func resetFor(p *Parser, kind string, l *Limits) {
	if kind == "response" {
		p.ResetResponse(l)
	} else {
		p.ResetRequest(l)
	}
}

// result is all that Feed has told, in a form that can be compared.
func result(p *Parser, code Code) string {
	if code != OK {
		return code.String()
	}
	return fmt.Sprintf("%+v %+v", p.Head, p.Fields[:p.N])
}

func TestHeadCorpus(t *testing.T) {
	for _, kind := range []string{"request", "response"} {
		for _, c := range readCorpus(t, kind) {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				var p Parser
				resetFor(&p, kind, &c.limits)
				code := c.judge(&p, c.msg)
				if c.refused != "" {
					if code.String() != c.refused {
						t.Fatalf("got %q, want %q", code, c.refused)
					}
				} else {
					if code != OK {
						t.Fatalf("refused: %v", code)
					}
					checkFacts(t, &p, c)
				}
				checkSplits(t, kind, c, result(&p, code))
			})
		}
	}
}

// judge is what becomes of a message of which head has come.
func (c *corpusCase) judge(p *Parser, head []byte) Code {
	code := p.Feed(head)
	if code == OK && c.further != nil {
		code = c.further(p, head)
	}
	return code
}

// checkSplits wants the same result for every way of giving the message in two parts, and byte by byte; in the
// latter a fault has to come with its byte.
func checkSplits(t *testing.T, kind string, c *corpusCase, want string) {
	t.Helper()
	var p Parser
	for n := range len(c.msg) + 1 {
		resetFor(&p, kind, &c.limits)
		p.Feed(c.msg[:n])
		if got := result(&p, c.judge(&p, c.msg)); got != want {
			t.Fatalf("split at %d: got  %s\nwant %s", n, got, want)
		}
	}
	resetFor(&p, kind, &c.limits)
	n, code := 0, NeedMore
	for code == NeedMore && n < len(c.msg) {
		n++
		code = c.judge(&p, c.msg[:n:n])
	}
	if got := result(&p, code); got != want {
		t.Fatalf("byte by byte: got  %s\nwant %s", got, want)
	}
	if due := c.fault; c.refused != "" && n != due {
		t.Fatalf("fault reported with byte %d, %q, want byte %d", n, c.msg[:n], due)
	}
}

var (
	formNames = [...]string{
		FormOrigin: "origin", FormAbsolute: "absolute", FormAsterisk: "asterisk", FormAuthority: "authority",
	}
	bodyNames = [...]string{BodyNone: "none", BodyLength: "length", BodyChunked: "chunked", BodyClose: "close",
		BodyTunnel: "tunnel"}
)

func checkFacts(t *testing.T, p *Parser, c *corpusCase) {
	t.Helper()
	text := func(r Ref) string { return string(r.In(c.msg)) }
	var fields, gone []string
	for _, f := range p.Fields[:p.N] {
		fields = append(fields, text(f.Name)+"="+text(f.Value))
		if f.Flags&removed != 0 {
			gone = append(gone, text(f.Name))
		}
	}
	got := map[string]string{
		"method": text(p.MethodRef), "form": formNames[p.Form], "target": text(p.Target),
		"authority": text(p.Authority), "path": text(p.Path), "query": text(p.Query),
		"minor": fmt.Sprint(p.Minor), "length": fmt.Sprint(p.ContentLength),
		"chunked": fmt.Sprint(p.Chunked), "keepalive": fmt.Sprint(p.KeepAlive), "expect": fmt.Sprint(p.ExpectContinue),
		"upgrade": fmt.Sprint(p.Upgrade), "any": string(p.AppendUpgrade(nil, c.msg, []string{"*"})),
		"some":   string(p.AppendUpgrade(nil, c.msg, []string{"websocket", "spdy/3.1"})),
		"status": fmt.Sprint(p.Status), "reason": text(p.Reason), "body": bodyNames[p.Body(GET)],
		"gone": strings.Join(gone, ","), "rest": string(c.msg[p.Len:]),
	}
	var wantFields []string
	for _, fact := range c.facts {
		want, err := unescape(fact[1])
		if err != nil {
			t.Fatal(err)
		}
		if fact[0] == "field" {
			wantFields = append(wantFields, string(want))
			continue
		}
		if g, ok := got[fact[0]]; !ok || g != string(want) {
			t.Errorf("%s is %q, want %q", fact[0], g, want)
		}
	}
	if wantFields != nil && strings.Join(fields, "\n") != strings.Join(wantFields, "\n") {
		t.Errorf("fields are %q, want %q", fields, wantFields)
	}
}

// feedChunked gives the parts to a Chunked, until one is not wholly consumed, by way of Feed and of Next.
func feedChunked(t testing.TB, parts ...[]byte) (n int, data []byte, code Code) {
	t.Helper()
	var c, d Chunked
	sum := 0
	for _, b := range parts {
		k := 0
		k, code = c.Feed(b)
		n += k
		at, next := 0, NeedMore
		for {
			piece, m, got := d.Next(b[at:])
			data = append(data, piece.In(b[at:])...)
			at += m
			if next = got; got != NeedMore || at == len(b) {
				break
			}
		}
		sum += at
		if next != code || sum != n {
			t.Fatalf("Feed: %d bytes, %v; Next: %d bytes, %v", n, code, sum, next)
		}
		if code != NeedMore {
			break
		}
		if k != len(b) {
			t.Fatalf("NeedMore after %d of %d bytes", k, len(b))
		}
	}
	return n, data, code
}

func TestChunkedCorpus(t *testing.T) {
	for _, c := range readCorpus(t, "chunked") {
		t.Run(c.name, func(t *testing.T) {
			n, data, code := feedChunked(t, c.msg)
			if c.refused != "" {
				if code.String() != c.refused || n != c.fault-1 {
					t.Fatalf("got %q behind %d bytes, want %q behind %d", code, n, c.refused, c.fault-1)
				}
			} else if code != OK {
				t.Fatalf("refused: %v, behind %q", code, c.msg[:n])
			}
			for _, fact := range c.facts {
				want, err := unescape(fact[1])
				got := map[string][]byte{"data": data, "rest": c.msg[n:]}[fact[0]]
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s is %q, want %q (%v)", fact[0], got, want, err)
				}
			}
			bytewise := slices.Collect(slices.Chunk(c.msg, 1))
			if m, again, got := feedChunked(t, bytewise...); m != n || !bytes.Equal(again, data) || got != code {
				t.Fatalf("byte by byte: %d bytes, data %q, %v; want %d, %q, %v", m, again, got, n, data, code)
			}
			for at := range min(len(c.msg), 1000) {
				m, again, got := feedChunked(t, c.msg[:at], c.msg[at:])
				if m != n || !bytes.Equal(again, data) || got != code {
					t.Fatalf("split at %d: %d bytes, data %q, %v; want %d, %q, %v", at, m, again, got, n, data, code)
				}
			}
		})
	}
}
