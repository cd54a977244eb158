package proxy

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// simDice makes the choices of a run: by a script as long as it lasts, then by the seed.
type simDice struct {
	script []byte
	rng    *rand.Rand
}

// n is one of 0 to k-1.
func (d *simDice) n(k int) int {
	if k <= 1 {
		return 0
	}
	if len(d.script) == 0 {
		return d.rng.IntN(k)
	}
	v := int(d.script[0])
	d.script = d.script[1:]
	if k > 256 && len(d.script) > 0 {
		v, d.script = v<<8|int(d.script[0]), d.script[1:]
	}
	return v % k
}

// percent draws whether something happens.
func (d *simDice) percent(p int) bool { return d.n(100) >= 100-p }

// size is the size of a body: mostly small.
func (d *simDice) size() int {
	switch d.n(10) {
	case 0:
		return 0
	case 1, 2, 3:
		return 1 + d.n(100)
	case 4, 5, 6:
		return d.n(5000)
	case 7, 8:
		return 3500 + d.n(20_000)
	}
	return d.n(300_000)
}

const simBodyMax = 300_000

// simNoise is what bodies are cut from: each message has a place of its own.
var simNoise = func() []byte {
	rng := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, 2*simBodyMax+1<<20)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}()

// simBody is n bytes that belong to the message of that number.
func simBody(number, n int) []byte {
	at := number * 40_503 % (len(simNoise) - simBodyMax)
	return simNoise[at : at+n : at+n]
}

// simOrder is one request and what became of it.
type simOrder struct {
	number int
	method string
	minor  int
	size   int
	expect bool
	final  bool // the connection ends with its response
	bad    bool // no upstream must ever see it whole
	head   []byte
	body   []byte // as it is sent, framing included
	offer  simOffer
	stream []byte // what the client says when it has left HTTP; body is what of that is sent ahead

	begun bool // some of it was sent
	heads int  // upstreams that have seen its head
}

func (o *simOrder) String() string { return fmt.Sprintf("request %d (%s)", o.number, o.method) }

func (o *simOrder) idempotent() bool {
	return strings.Contains("GET HEAD PUT DELETE OPTIONS TRACE", o.method)
}

// requestBody and responseBody are the bodies that belong to the order.
func (o *simOrder) requestBody(n int) []byte  { return simBody(2*o.number, n) }
func (o *simOrder) responseBody(n int) []byte { return simBody(2*o.number+1, n) }

var simMethods = []string{
	"GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE", "GETS",
}

// newSimOrder draws a request.
func newSimOrder(d *simDice, number, minor int, final bool) *simOrder {
	o := &simOrder{number: number, method: simMethods[d.n(len(simMethods))], minor: minor, final: final}
	if o.method == "POST" || o.method == "PUT" || o.method == "PATCH" || d.percent(10) {
		o.size = d.size()
	}
	var b bytes.Buffer
	target := "/order?number=" + strconv.Itoa(number)
	if d.percent(10) {
		target = "http://sim.example" + target
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.%d\r\nHost: sim.example\r\n", o.method, target, minor)
	fmt.Fprintf(&b, "X-Number: %d\r\nX-Size: %d\r\n", number, o.size)
	if d.percent(20) {
		fmt.Fprintf(&b, "X-Pad: %s\r\n", strings.Repeat("p", d.n(9000)))
	}
	for range d.n(4) {
		fmt.Fprintf(&b, "X-More-%d: %d\r\n", d.n(1000), d.n(1000))
	}
	if minor == 0 && !final {
		b.WriteString("Connection: keep-alive\r\n")
	} else if minor == 1 && final {
		b.WriteString("Connection: close\r\n")
	}
	chunked := minor == 1 && o.size > 0 && d.percent(40)
	if chunked {
		b.WriteString("Transfer-Encoding: chunked\r\n")
		o.body = simChunks(d, o.requestBody(o.size))
	} else if o.size > 0 || d.percent(10) {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", o.size)
		o.body = o.requestBody(o.size)
	}
	if minor == 1 && o.size > 0 && d.percent(15) {
		o.expect = true
		b.WriteString("Expect: 100-continue\r\n")
	}
	b.WriteString("\r\n")
	o.head = b.Bytes()
	return o
}

// spoil makes of o something that is refused.
func (o *simOrder) spoil(d *simDice) {
	o.bad, o.expect, o.offer = true, false, simNoOffer
	host := fmt.Sprintf("HTTP/1.1\r\nHost: a\r\nX-Number: %d\r\nX-Size: 9\r\n", o.number)
	const length, chunked = "Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n"
	noise := make([]byte, 1+d.n(3000))
	for i := range noise {
		noise[i] = byte(d.rng.Uint32())
	}
	kinds := [][2]string{
		{"HELO proxy\r\n\r\n", ""},
		{"GET / " + host + length + chunked + "\r\n", "0\r\n\r\nGET /"},
		{"GET / " + host + "X: " + strings.Repeat("x", 40_000) + "\r\n\r\n", ""},
		{"GET /" + strings.Repeat("x", 9000) + " " + host + "\r\n", ""},
		{"POST / " + host + chunked + "\r\n", "4\r\nabcdX\r\n0\r\n\r\n"},
		{"POST / " + host + chunked + "\r\n", "nine\r\n123456789\r\n0\r\n\r\n"},
		{"POST / " + host + length + "Content-Length: 8\r\n\r\n", "123456789"},
		{"GET / HTTP/1.1\nHost: a\n\n", ""},
		{string(noise) + "\r\n\r\n", ""},
	}
	kind := kinds[d.n(len(kinds))]
	o.head, o.body = []byte(kind[0]), []byte(kind[1])
	o.method, o.minor = "POST", 1
}

// simChunks is b in chunks, with what the format allows around them.
func simChunks(d *simDice, b []byte) []byte {
	var out bytes.Buffer
	most := 1 + d.n(20_000) + len(b)/1000
	if d.percent(20) && len(b) < 5000 {
		most = 1 + d.n(10)
	}
	for len(b) > 0 {
		n := min(len(b), 1+d.n(most))
		extension := ""
		if d.percent(5) {
			extension = `;a="b"`
		}
		fmt.Fprintf(&out, "%x%s\r\n%s\r\n", n, extension, b[:n])
		b = b[n:]
	}
	out.WriteString("0\r\n")
	if d.percent(20) {
		out.WriteString("X-Trailer: t\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

// simBodyFault compares a body with what it should be; whole says that nothing may be missing.
func simBodyFault(got, want []byte, whole bool) string {
	if len(got) > len(want) || !bytes.Equal(got, want[:len(got)]) {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		return fmt.Sprintf("body of %d bytes differs at byte %d of %d", len(got), at, len(want))
	}
	if whole && len(got) < len(want) {
		return fmt.Sprintf("body of %d bytes, want %d", len(got), len(want))
	}
	return ""
}
