package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// firstCase is how a connection begins, and what becomes of it. Clients come from the loopback network.
type firstCase struct {
	name     string
	protocol plan.Protocol
	proxied  bool     // connections have to begin with a header of the PROXY protocol
	rules    []string // of the tcp routes; all lead to an endpoint that greets, and then repeats what it is told
	said     string
	end      bool   // the client ends its stream then
	heard    string // what comes back; of a response a part of it. Empty: the connection is reset
	why      metrics.Reason
	counts   func(*metrics.Snapshot) uint64 // of each such connection one
}

const (
	firstLine  = "PROXY TCP4 203.0.113.9 198.51.100.7 40000 8443\r\n"
	firstLine6 = "PROXY TCP6 2001:db8::9 2001:db8::7 40000 8443\r\n"
	firstBlock = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x12" +
		"\xcb\x00\x71\x09\xc6\x33\x64\x07\x9c\x40\x20\xfb\x02\x00\x03a.b"
	firstLocal = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	firstGreet = "220 hello\r\n"
	firstGet   = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

	namedClient = "for=203.0.113.9 port=8443;"
)

func received(version uint8, what metrics.ProxyHeader) func(*metrics.Snapshot) uint64 {
	return func(m *metrics.Snapshot) uint64 { return m.ProxyReceived(version, what) }
}

func counted(c metrics.Counter) func(*metrics.Snapshot) uint64 {
	return func(m *metrics.Snapshot) uint64 { return m.Counter(c) }
}

// firstCases are the ones in which nothing is awaited in vain.
func firstCases(t testing.TB) []firstCase {
	hello := string(clientHello(t, "pass.example.com"))
	other := string(clientHello(t, "other.example.com"))
	bySNI := []string{"SNI(`pass.example.com`)"}
	orAny, byPort := append(bySNI, ""), []string{"DestinationPort(`8443`)"}
	byClient := []string{"ClientIP(`203.0.113.0/24`)"}
	missing, malformed := metrics.NoProxyHeader, metrics.BadProxyHeader
	return []firstCase{
		{"line and request", plan.HTTP, true, nil, firstLine + firstGet, false, namedClient, 0,
			received(1, metrics.ProxyTaken)},
		{"line of IPv6", plan.HTTP, true, nil, firstLine6 + firstGet, false, "for=2001:db8::9 port=8443;", 0, nil},
		{"block and request", plan.HTTP, true, nil, firstBlock + firstGet, false, namedClient, 0,
			received(2, metrics.ProxyTaken)},
		{"block and two requests", plan.HTTP, true, nil, firstBlock + firstGet + firstGet, false,
			namedClient + "|" + namedClient, 0, nil},
		{"local", plan.HTTP, true, nil, firstLocal + firstGet, false, "for=127.0.0.1 port=PORT;", 0,
			received(2, metrics.ProxyLocal)},
		{"unknown", plan.HTTP, true, nil, "PROXY UNKNOWN\r\n" + firstGet, false, "for=127.0.0.1 port=PORT;", 0,
			received(1, metrics.ProxyLocal)},
		{"nobody believes it", plan.HTTP, false, nil, firstLine + firstGet, false, "HTTP/1.1 400 ", 0, nil},
		{"line and bytes", plan.TCP, true, []string{""}, firstLine + "some bytes", false, firstGreet + "some bytes",
			0, nil},
		{"line by port", plan.TCP, true, byPort, firstLine + "x", false, firstGreet + "x", 0, nil},
		{"local by port", plan.TCP, true, byPort, firstLocal + "x", false, "", metrics.NoRoute, nil},
		{"line by client", plan.TCP, true, byClient, firstLine + "x", false, firstGreet + "x", 0, nil},
		{"line as data", plan.TCP, false, []string{""}, firstLine, false, firstGreet + firstLine, 0, nil},
		{"line and nothing", plan.TCP, true, []string{""}, firstLine, false, firstGreet, 0, nil},
		{"line and end", plan.TCP, true, []string{""}, firstLine + "y", true, firstGreet + "y", 0, nil},
		{"block and hello", plan.TCP, true, bySNI, firstBlock + hello + "more", false, firstGreet + hello + "more", 0,
			counted(metrics.DetectedTLS)},
		{"no header but a request", plan.HTTP, true, nil, firstGet, false, "", missing, received(0,
			metrics.ProxyMissing)},
		{"no header but a hello", plan.TCP, true, bySNI, hello, false, "", missing, received(0, metrics.ProxyMissing)},
		{"malformed line", plan.HTTP, true, nil, "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", false, "", malformed,
			received(1, metrics.ProxyMalformed)},
		{"too long line", plan.TCP, true, []string{""}, "PROXY " + strings.Repeat("x", 120), false, "", malformed, nil},
		{"too long block", plan.TCP, true, []string{""}, firstBlock[:14] + "\x02\x09" + strings.Repeat("x", 0x209),
			false,
			"", malformed, received(2, metrics.ProxyMalformed)},
		{"half a line and the end", plan.TCP, true, []string{""}, firstLine[:20], true, "", malformed,
			received(1, metrics.ProxyMalformed)},

		{"hello that a route is for", plan.TCP, false, bySNI, hello, false, firstGreet + hello, 0, nil},
		{"hello that none is for", plan.TCP, false, bySNI, other, false, "\x15\x03\x03\x00\x02\x02\x70",
			metrics.NoRoute, nil},
		{"other hello", plan.TCP, false, orAny, other, false, firstGreet + other, 0, nil},
		{"bytes", plan.TCP, false, orAny, "\x00\x01 bytes", false, firstGreet + "\x00\x01 bytes", 0,
			counted(metrics.DetectedOther)},
		{"request is none", plan.TCP, false, orAny, firstGet, false, firstGreet + firstGet, 0,
			counted(metrics.DetectedOther)},
		{"bytes that no route is for", plan.TCP, false, bySNI, "bytes", false, "", metrics.NoRoute, nil},
		{"type of a record", plan.TCP, false, orAny, "\x16\x02", false, firstGreet + "\x16\x02", 0,
			counted(metrics.DetectedOther)},
		{"malformed hello", plan.TCP, false, orAny, "\x16\x03\x01\x00\x00", false, "\x15\x03\x03\x00\x02\x02\x0a", 0,
			nil},
		{"oversized hello", plan.TCP, false, orAny, "\x16\x03\x01\x40\x00\x01\x00\xff\xff", false,
			"\x15\x03\x03\x00\x02\x02\x28", 0, nil},

		{"auto: request", plan.Auto, false, orAny, firstGet, false, "for=127.0.0.1 port=PORT;", 0,
			counted(metrics.DetectedHTTP)},
		{"auto: unknown method", plan.Auto, false, orAny, strings.Replace(firstGet, "GET", "MKCOL", 1), false,
			"for=127.0.0.1 ", 0, counted(metrics.DetectedHTTP)},
		{"auto: line and request", plan.Auto, true, orAny, firstLine + firstGet, false, namedClient, 0, nil},
		{"auto: HTTP/2", plan.Auto, false, orAny, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, "HTTP/1.1 400 ", 0, nil},
		{"auto: hello", plan.Auto, false, orAny, hello, false, firstGreet + hello, 0, counted(metrics.DetectedTLS)},
		{"auto: words", plan.Auto, false, orAny, "EHLO a.test\r\n", false, firstGreet + "EHLO a.test\r\n", 0,
			counted(metrics.DetectedOther)},
		{"auto: half a method and the end", plan.Auto, false, orAny, "QUIT", true, firstGreet + "QUIT", 0,
			counted(metrics.DetectedOther)},
		{"auto: no route", plan.Auto, false, nil, "EHLO a.test\r\n", false, "", metrics.NoRoute, nil},
	}
}

// silences are those in which the time for first bytes ends.
func silences(t testing.TB) []firstCase {
	hello := string(clientHello(t, "pass.example.com"))
	bySNI := []string{"SNI(`pass.example.com`)"}
	orAny, late, half := append(bySNI, ""), metrics.TimeoutProxyHeader, metrics.TimeoutDetect
	return []firstCase{
		{"no header", plan.HTTP, true, nil, "", false, "", late, received(0, metrics.ProxyLate)},
		{"half a line", plan.TCP, true, orAny, firstLine[:20], false, "", late, received(1, metrics.ProxyLate)},
		{"half a block", plan.Auto, true, orAny, firstBlock[:20], false, "", late, received(2, metrics.ProxyLate)},
		{"nothing", plan.TCP, false, orAny, "", false, firstGreet, 0, counted(metrics.DetectedSilent)},
		{"nothing that a route is for", plan.TCP, false, bySNI, "", false, "", metrics.NoRoute,
			counted(metrics.DetectedSilent)},
		{"line and nothing", plan.TCP, true, orAny, firstLine, false, firstGreet, 0, counted(metrics.DetectedSilent)},
		{"auto: half a hello alone", plan.Auto, false, nil, hello[:9], false, "", half, nil},
		{"auto: half a method alone", plan.Auto, true, nil, firstLine + "QUIT", false, "", metrics.NoRoute, nil},
		{"auto: nothing", plan.Auto, false, orAny, "", false, firstGreet, 0, counted(metrics.DetectedSilent)},
		{"auto: half a method", plan.Auto, false, orAny, "QUIT", false, firstGreet + "QUIT", 0,
			counted(metrics.DetectedOther)},
		{"auto: half a target", plan.Auto, false, orAny, "LOCK http:/", false, firstGreet + "LOCK http:/", 0,
			counted(metrics.DetectedOther)},
		{"half a hello", plan.TCP, false, orAny, hello[:len(hello)/2], false, "", half, counted(metrics.DetectedTLS)},
		{"a byte of a hello", plan.TCP, false, orAny, hello[:1], false, "", half, nil},
		{"auto: half a hello", plan.Auto, false, orAny, hello[:9], false, "", half, counted(metrics.DetectedTLS)},
	}
}

// edit makes snap's listener the case's. far is the service for streams.
func (c *firstCase) edit(t testing.TB, snap *plan.Snapshot, far plan.Service) {
	t.Helper()
	ln := &snap.Listeners[0]
	ln.Protocol = c.protocol
	if ln.Proxied = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}; c.proxied {
		ln.Proxied = append(ln.Proxied, netip.MustParsePrefix("127.0.0.0/8"))
	}
	far.Name, far.ID, far.Stream = "far", 1, true
	snap.Services = append(snap.Services, far)
	ln.Streams, snap.Streams = nil, nil
	if len(c.rules) > 0 {
		var routes []routing.Route
		for i, text := range c.rules {
			r := routing.Route{Name: fmt.Sprint("stream", i), Target: i}
			if text != "" {
				expr, err := rule.ParseStream(text)
				if err != nil {
					t.Fatal(err)
				}
				r.Rule = expr
			}
			routes = append(routes, r)
			snap.Streams = append(snap.Streams, plan.Stream{Name: r.Name, Service: 1})
		}
		table, err := routing.CompileStreams(routes)
		if err != nil {
			t.Fatal(err)
		}
		ln.Streams = table
	}
	snap.Timeouts.StreamIdle, snap.Timeouts.Detect = time.Minute, 20*time.Second
}

var (
	forwardedFor  = regexp.MustCompile(`X-Forwarded-For: (.*)\r\n`)
	forwardedPort = regexp.MustCompile(`X-Forwarded-Port: (.*)\r\n`)
)

// firstAnswer is an endpoint's response to a request with that head: whom it takes for the client.
func firstAnswer(head string) string {
	body := ""
	if m := forwardedFor.FindStringSubmatch(head); m != nil {
		body = "for=" + m[1]
	}
	if m := forwardedPort.FindStringSubmatch(head); m != nil {
		body += " port=" + m[1] + ";"
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// met tells whether got is what the case wants to be heard. A response need have it only.
func (c *firstCase) met(got string, port uint16) bool {
	want := strings.ReplaceAll(c.heard, "PORT", fmt.Sprint(port))
	if !strings.HasPrefix(got, "HTTP/1.1") {
		return got == want
	}
	for part := range strings.SplitSeq(want, "|") {
		at := strings.Index(got, part)
		if at < 0 {
			return false
		}
		got = got[at+len(part):]
	}
	return true
}

// refused says what is wrong with what was counted of n connections of the case.
func (c *firstCase) miscounted(m *metrics.Snapshot, n uint64) string {
	switch {
	case c.why != metrics.None && m.Refused(c.why) != n:
		return fmt.Sprintf("%d of %d are counted as %v", m.Refused(c.why), n, c.why)
	case c.counts != nil && c.counts(m) != n:
		return fmt.Sprintf("%d of %d are counted: %v", c.counts(m), n, m)
	case m.Gauge(metrics.FirstBytesAwaited) != 0:
		return fmt.Sprintf("first bytes are awaited of %d", m.Gauge(metrics.FirstBytesAwaited))
	}
	return ""
}

// firstEnd greets and repeats what it is told.
func firstEnd(t testing.TB) string {
	return farEnd(t, func(conn *net.TCPConn) {
		defer conn.Close()
		io.WriteString(conn, firstGreet)
		io.Copy(conn, conn)
	})
}

func firstUpstream(t testing.TB) string {
	return farEnd(t, func(conn *net.TCPConn) {
		defer conn.Close()
		var got []byte
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			got = append(got, b[:n]...)
			for at := bytes.Index(got, []byte("\r\n\r\n")); at >= 0; at = bytes.Index(got, []byte("\r\n\r\n")) {
				io.WriteString(conn, firstAnswer(string(got[:at+4])))
				got = got[at+4:]
			}
		}
	})
}

// run has a client say what the case says, in pieces of so many bytes, and compares what comes back.
func (c *firstCase) run(r *rig, piece int) {
	r.t.Helper()
	conn, port := r.dial(), netip.MustParseAddrPort(r.addr).Port()
	defer conn.Close()
	told := c.why == metrics.TimeoutDetect // that it is over, by a reset; half a hello ends in order
	for rest := []byte(c.said); len(rest) > 0; rest = rest[min(piece, len(rest)):] {
		if _, err := conn.Write(rest[:min(piece, len(rest))]); err != nil {
			if c.why == metrics.None || !isReset(err) && !told {
				r.t.Fatal(err)
			}
			told = true
		}
		runtime.Gosched()
	}
	if c.end {
		conn.CloseWrite()
	}
	var got []byte
	for b := make([]byte, 64<<10); ; {
		n, err := conn.Read(b)
		got = append(got, b[:n]...)
		met := c.met(string(got), port)
		switch {
		case err != nil && c.heard == "" && !isReset(err) && !told:
			r.t.Fatalf("in pieces of %d: the connection ends with %v after %q", piece, err, got)
		case err != nil && !met:
			r.t.Fatalf("in pieces of %d: %q and %v, want %q", piece, got, err, c.heard)
		case met && c.heard != "", err != nil:
			return
		}
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), unix.ECONNRESET.Error()) }

// startFirst is a rig of the case.
func (c *firstCase) start(t *testing.T, be engine.Backend, up, far string, edit func(*plan.Snapshot)) *rig {
	return start(t, be, []string{up}, func(r *rig) {
		service := snapshotFor(t, r.snap.Listeners[0].Addr, far).Services[0]
		service.Endpoints[0].ID = 100
		c.edit(t, r.snap, service)
		if edit != nil {
			edit(r.snap)
		}
	})
}

// over waits until nothing of the rig's connections is left, and checks what was counted of n.
func (c *firstCase) over(r *rig, n uint64) {
	r.t.Helper()
	r.until("the end of all clients", func(w *Worker) bool { return w.clients == 0 })
	if fault := c.miscounted(r.metrics.Snapshot(), n); fault != "" {
		r.t.Error(fault)
	}
}

// What a connection begins with decides what becomes of it, in whatever pieces it comes.
func TestFirstBytes(t *testing.T) {
	cases := firstCases(t)
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				r := c.start(t, open(), up, far, nil)
				pieces := []int{len(c.said), 1, 1 + rand.IntN(len(c.said)), 1 + rand.IntN(20)}
				for _, n := range pieces {
					c.run(r, n)
				}
				c.over(r, uint64(len(pieces)))
			})
		}
	})
}

// What does not come is not awaited for ever.
func TestFirstBytesLate(t *testing.T) {
	cases := silences(t)
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				r := c.start(t, open(), up, far, func(snap *plan.Snapshot) {
					snap.Timeouts.Detect = 30 * time.Millisecond
				})
				c.run(r, len(c.said)+1)
				c.over(r, 1)
			})
		}
	})
}
