package load

import (
	"bytes"
	"math"

	"github.com/uringproxy/uringproxy/perf/chunked"
)

// answer is what has come of an answer.
type answer struct {
	head    head
	inBody  bool            // the head has come
	got     int64           // bytes of the body
	matches uint64          // the contents that it can be so far
	chunks  chunked.Decoder // where the head gives no length
}

func (a *answer) begin(h head, contents uint64) {
	*a = answer{head: h, inBody: true, matches: contents}
}

// whole reports whether the last byte has come.
func (a *answer) whole() bool {
	if a.head.length < 0 {
		return a.inBody && a.chunks.Done()
	}
	return a.inBody && a.got == a.head.length
}

// contents are the bodies that an answer can have: some short texts, or the beginning of the pattern.
type contents struct {
	texts   [][]byte // at most 64
	pattern []byte   // so much of it that what is read at once can be compared at once
	size    int64    // of the body that is made of it
}

func newContents(cfg *Config) contents {
	switch {
	case cfg.Download > 0:
		return contents{pattern: Pattern(readBytes + PatternPeriod), size: cfg.Download}
	case cfg.Upload > 0:
		return contents{texts: [][]byte{AppendUploaded(nil, cfg.Upload)}}
	}
	var c contents
	for _, name := range cfg.Services {
		c.texts = append(c.texts, Body(name))
	}
	return c
}

// all is the set of all of them.
func (c *contents) all() uint64 {
	if c.size > 0 {
		return 1
	}
	return math.MaxUint64 >> (64 - len(c.texts))
}

// match takes those out of a set that do not continue with part after the first got bytes.
func (c *contents) match(set uint64, got int64, part []byte) uint64 {
	if c.size > 0 {
		if int64(len(part)) > c.size-got || !bytes.Equal(part, c.pattern[got%PatternPeriod:][:len(part)]) {
			return 0
		}
		return set
	}
	for i, text := range c.texts {
		if got+int64(len(part)) > int64(len(text)) || !bytes.Equal(part, text[got:][:len(part)]) {
			set &^= 1 << i
		}
	}
	return set
}

// which is the index of the one in a set that has got bytes; -1 when there is none.
func (c *contents) which(set uint64, got int64) int {
	switch {
	case set == 0:
		return -1
	case c.size > 0 && got == c.size:
		return 0
	}
	for i, text := range c.texts {
		if set&(1<<i) != 0 && int64(len(text)) == got {
			return i
		}
	}
	return -1
}

// judge counts an answer as what it is. It reports whether that is what it should be.
func (g *Generator) judge(a *answer, c *conn) bool {
	due := c.dues[c.answered]
	t, which := g.tallyOf(due), g.contents.which(a.matches, a.got)
	switch {
	case a.head.status != 200:
		t.Errors.Status++
		t.sample("status %d", a.head.status)
	case which < 0:
		t.Errors.Body++
		if a.matches != 0 || a.got == 0 {
			t.sample("a body of %d bytes, which is too short", a.got)
		}
	case g.byService() && !g.allowed[which]:
		t.Errors.Service++
		t.sample("answered by service %s", g.cfg.Services[which])
	default:
		if g.byService() {
			t.answers[which]++
		}
		t.Answered++
		t.Bytes += a.got + g.cfg.Upload
		t.latency.Record(g.clock - due)
		return true
	}
	return false
}

// byService reports whether a body tells which service it comes from.
func (g *Generator) byService() bool { return g.cfg.Download == 0 && g.cfg.Upload == 0 }
