package h1

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// rewriteCase is one way of editing a head.
type rewriteCase struct {
	head     []byte
	response bool
	drop     uint64 // fields to drop, by number
	target   []byte
	add      []byte
}

// parse gives a parser that has accepted the case's head and has its fields flagged; false when it is refused.
func (c *rewriteCase) parse() (p Parser, ok bool) {
	p.reset(&Limits{}, c.response)
	if p.Feed(c.head) != OK {
		return p, false
	}
	for i := range min(p.N, 64) {
		if c.drop>>i&1 != 0 {
			p.Fields[i].Flags |= FieldDrop
		}
	}
	return p, true
}

// naive is the head that should come out, put together from its parts.
func (c *rewriteCase) naive(p *Parser) string {
	text := string(c.head[:p.Len])
	if strings.HasPrefix(text, "\r\n") {
		text = text[2:]
	}
	line, rest, _ := strings.Cut(text, "\r\n")
	var out strings.Builder
	if c.response {
		_, status, _ := strings.Cut(line, " ")
		if len(status) == 3 {
			status += " "
		}
		out.WriteString("HTTP/1.1 " + status + "\r\n")
	} else {
		words := strings.Split(line, " ")
		host := ""
		if _, after, ok := strings.Cut(words[1], "://"); ok && p.Form == FormAbsolute {
			host = after
			words[1] = "/"
			if i := strings.IndexAny(after, "/?"); i >= 0 {
				host = after[:i]
				words[1] = "/" + strings.TrimPrefix(after[i:], "/")
			} else if words[0] == "OPTIONS" {
				words[1] = "*"
			}
			host = "Host: " + host + "\r\n"
		}
		if c.target != nil {
			words[1] = string(c.target)
		}
		out.WriteString(words[0] + " " + words[1] + " HTTP/1.1\r\n" + host)
	}
	out.Write(c.add)
	for i, line := range strings.Split(rest, "\r\n") {
		if i < p.N && p.Fields[i].Flags&(FieldHop|FieldDrop) == 0 {
			out.WriteString(line + "\r\n")
		}
	}
	return out.String() + "\r\n"
}

const (
	filler = "~"
	body   = "the body behind it"
)

// check edits the head with room bytes of headroom above a floor, and compares everything with the naive way.
func (c *rewriteCase) check(t *testing.T, room int) {
	t.Helper()
	p, ok := c.parse()
	if !ok {
		return
	}
	const floor = 3
	before := p
	want := c.naive(&p)
	start := floor + room
	head := c.head[:p.Len]
	mem := []byte(strings.Repeat(filler, start) + string(head) + body)
	was := bytes.Clone(mem)
	if n := c.rewrittenLen(&p); n != len(want) {
		t.Fatalf("rewritten length %d, want %d", n, len(want))
	}
	at, ok := c.rewrite(&p, mem, floor, start)
	if fits := len(want) <= room+len(head) && len(want) <= MaxHead; ok != fits {
		t.Fatalf("rewritten: %v, want %v", ok, fits)
	}
	if !ok {
		if !bytes.Equal(mem, was) || p != before {
			t.Fatal("changed something although it did not fit")
		}
		return
	}
	end := start + len(head)
	if got := string(mem[at:end]); got != want || p.Len != len(want) {
		t.Fatalf("%q became, with room for %d,\n %q (length %d), want\n %q", head, room, got, p.Len, want)
	}
	if !bytes.Equal(mem[:floor], was[:floor]) || !bytes.Equal(mem[end:], was[end:]) {
		t.Fatal("wrote outside the head and its headroom")
	}
	c.checkRefs(t, &before, &p, mem[at:end])
}

func (c *rewriteCase) rewrittenLen(p *Parser) int {
	if c.response {
		return p.RewrittenResponseLen(len(c.add))
	}
	return p.RewrittenRequestLen(c.target, len(c.add))
}

func (c *rewriteCase) rewrite(p *Parser, mem []byte, floor, start int) (int, bool) {
	if c.response {
		return p.RewriteResponse(mem, floor, start, c.add)
	}
	return p.RewriteRequest(mem, floor, start, c.target, c.add)
}

// checkRefs wants the Refs to name the same bytes as before, and a fresh parser to read the result as it is meant.
func (c *rewriteCase) checkRefs(t *testing.T, before, p *Parser, head []byte) {
	t.Helper()
	first := map[FieldID]int{}
	for i := range p.N {
		was, is := before.Fields[i], p.Fields[i]
		if was.Flags&removed != 0 {
			if is.Name != (Ref{}) || is.Value != (Ref{}) {
				t.Fatalf("field %d was removed, but has Refs %v", i, is)
			}
			continue
		}
		same(t, "name", string(is.Name.In(head)), string(was.Name.In(c.head)))
		same(t, "value", string(is.Value.In(head)), string(was.Value.In(c.head)))
		if _, ok := first[is.ID]; !ok && is.ID != FieldOther {
			first[is.ID] = i
		}
	}
	for id := range fieldIDs {
		i, ok := p.Get(id)
		if at, kept := first[id]; ok != kept || ok && i != at {
			t.Fatalf("Get(%d) finds %d, %v, want %d, %v", id, i, ok, at, kept)
		}
	}
	var again Parser
	again.reset(&Limits{}, c.response)
	code := again.Feed(head)
	if code == MissingHost || code == TooManyFields {
		return
	}
	same(t, "code", code, OK)
	same(t, "length", again.Len, p.Len)
	same(t, "status", again.Status, p.Status)
	same(t, "reason", again.Reason, p.Reason)
	same(t, "method", again.MethodRef, p.MethodRef)
	same(t, "target", again.Target, p.Target)
	same(t, "path", again.Path, p.Path)
	same(t, "query", again.Query, p.Query)
	if _, kept := p.Get(FieldHost); kept || p.Form == FormAbsolute {
		same(t, "authority", again.Authority, p.Authority)
	}
	if c.target == nil && !c.response {
		path, was := string(p.Path.In(head)), string(before.Path.In(c.head))
		same(t, "path", strings.TrimSuffix(path, "/"), strings.TrimSuffix(was, "/"))
		same(t, "query", string(p.Query.In(head)), string(before.Query.In(c.head)))
	}
	if !c.response {
		same(t, "added", string(p.Added.In(head)), string(c.add))
	}
	if c.drop == 0 {
		same(t, "chunked", again.Chunked, p.Chunked)
	}
}

// adds holds additions that are legal in every head.
var adds = []string{
	"",
	"A: b\r\n",
	"X-Forwarded-For: 192.0.2.1\r\nVia: 1.1 x\r\n",
	"X-Long: " + strings.Repeat("l", 90) + "\r\n",
}

var targets = [][]byte{nil, nil, []byte("/"), []byte("/a/longer/target/than/was/there?with=query"), []byte("/x?")}

func TestRewriteCorpus(t *testing.T) {
	for _, kind := range []string{"request", "response"} {
		for _, c := range readCorpus(t, kind) {
			if c.refused != "" {
				continue
			}
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				r := rewriteCase{head: c.msg, response: kind == "response"}
				for _, drop := range []uint64{0, 1, 2, 5, 10, 15} {
					for i, add := range adds {
						r.drop, r.add = drop, []byte(add)
						if !r.response && (i == 1 || i == 2) && !bytes.HasPrefix(c.msg, []byte("CONNECT")) {
							r.target = targets[2+drop%3]
						}
						for room := range len(r.add) + 80 {
							r.check(t, room)
						}
					}
				}
			})
		}
	}
}

// randomHead makes a head from the pieces of which editing has to take care.
func randomHead(r *rand.Rand, response bool) []byte {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var b strings.Builder
	host := "Host: example.com\r\n"
	if response {
		fmt.Fprintf(&b, "HTTP/1.%d %d%s\r\n", r.IntN(2), 200+r.IntN(300), pick("", " ", " OK", " Some longer reason"))
		host = ""
	} else {
		b.WriteString(pick("", "\r\n") + pick("GET", "POST", "OPTIONS", "A-METHOD-OF-THIRTY-TWO-BYTES-XXXX"[:32]) + " ")
		b.WriteString(pick("/", "/path", "/p?q=r", "http://example.com", "http://Example.com:80/",
			"http://example.com?q", "http://example.com/"+strings.Repeat("p", r.IntN(90))))
		fmt.Fprintf(&b, " HTTP/1.%d\r\n", r.IntN(2))
	}
	lines := []string{host}
	for range r.IntN(8) {
		name := pick("X-Gone: ", "Keep-Alive: ", "User-Agent: ", "Y:", "Accept: ", "Upgrade: ")
		lines = append(lines, name+strings.Repeat("v", r.IntN(40))+pick("", " ")+"\r\n")
	}
	lines = append(lines, pick("", "Connection: x-gone\r\n", "Connection: close\r\n"))
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return []byte(b.String() + strings.Join(lines, "") + "\r\n")
}

func TestRewriteRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		c := rewriteCase{response: r.IntN(3) == 0, drop: r.Uint64() & r.Uint64(), add: []byte(adds[r.IntN(len(adds))])}
		c.head = randomHead(r, c.response)
		if !c.response {
			c.target = targets[r.IntN(len(targets))]
		}
		if p, ok := c.parse(); !ok {
			t.Fatalf("%v: %q", p.code, c.head)
		}
		for room := range len(c.add) + 100 {
			c.check(t, room)
		}
	}
}

// TestRewriteOwnTarget strips a prefix: the new target is part of the old request line.
func TestRewriteOwnTarget(t *testing.T) {
	head := "GET /prefix/of/path?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\nA: b\r\n\r\n"
	for room := range 40 {
		var p Parser
		mem := []byte(strings.Repeat(filler, room) + head)
		p.ResetRequest(&Limits{})
		same(t, "code", p.Feed(mem[room:]), OK)
		target := p.Target.In(mem[room:])[len("/prefix"):]
		at, ok := p.RewriteRequest(mem, 0, room, target, []byte("Via: x\r\n"))
		same(t, "ok", ok, true)
		same(t, "head", string(mem[at:]), "GET /of/path?q HTTP/1.1\r\nVia: x\r\nHost: h\r\nA: b\r\n\r\n")
		same(t, "path", string(p.Path.In(mem[at:])), "/of/path")
	}
}

// TestRewriteTooLarge wants a head that Refs cannot span to be left alone.
func TestRewriteTooLarge(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 65000) + "\r\n\r\n"
	for _, n := range []int{MaxHead - len(head), MaxHead - len(head) + 1} {
		c := rewriteCase{head: []byte(head), add: []byte("Y: " + strings.Repeat("y", n-5) + "\r\n")}
		c.check(t, 1000)
	}
}

func FuzzRewrite(f *testing.F) {
	for _, kind := range []string{"request", "response"} {
		seeds(f, kind, kind == "response", uint64(5), uint8(2), uint8(3), uint16(20))
	}
	f.Fuzz(func(t *testing.T, head []byte, response bool, drop uint64, add, target uint8, room uint16) {
		c := rewriteCase{head: head, response: response, drop: drop, add: []byte(adds[int(add)%len(adds)])}
		if !response {
			c.target = targets[int(target)%len(targets)]
		}
		if p, ok := c.parse(); ok && p.Form == FormAuthority {
			c.target = nil
		}
		c.check(t, int(room)%1024)
	})
}
