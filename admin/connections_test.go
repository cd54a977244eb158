package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// open connects and sends something.
func open(t *testing.T, at Address, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	network, address := at.split()
	c, err := net.DialTimeout(network, address, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

const getHealth = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

// healthy asks on a connection that stays.
func healthy(t *testing.T, c net.Conn, in *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(c, getHealth); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok\n" {
		t.Fatalf("%q, %v", body, err)
	}
}

// ended wants a connection to have been closed.
func ended(t *testing.T, c net.Conn, in *bufio.Reader) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var late net.Error
	if _, err := in.ReadByte(); err == nil || errors.As(err, &late) && late.Timeout() {
		t.Errorf("it is open: %v", err)
	}
}

// Who says nothing, or never comes to the end, keeps nobody out: the first of them has to leave.
func TestSilentConnections(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "half a head": "GET /healthz HTTP/1.1\r\nHost: local",
		"no body": "POST /api/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			at := start(t, &made{}, "")
			first, in := open(t, at, text)
			for range maxConnections {
				open(t, at, text)
			}
			ended(t, first, in)
			for range maxConnections / 2 {
				if _, body := exchange(t, at, "GET /healthz HTTP/1.1", "Host: localhost"); body != "ok\n" {
					t.Errorf("body %q", body)
				}
			}
		})
	}
}

// Of those that have had their answers the one leaves whose last answer is the oldest.
func TestIdleConnections(t *testing.T) {
	at := start(t, &made{}, "")
	var all []net.Conn
	var in []*bufio.Reader
	for range maxConnections {
		c, r := open(t, at, "")
		healthy(t, c, r)
		all, in = append(all, c), append(in, r)
	}
	healthy(t, all[0], in[0])
	if _, body := exchange(t, at, "GET /healthz HTTP/1.1", "Host: localhost"); body != "ok\n" {
		t.Errorf("body %q", body)
	}
	ended(t, all[1], in[1])
	for _, i := range []int{0, 2, maxConnections - 1} {
		healthy(t, all[i], in[i])
	}
}

// Who does not read what was asked for keeps us waiting too.
func TestConnectionsThatDoNotRead(t *testing.T) {
	at := start(t, &made{routes: manyRoutes}, Address("unix:"+filepath.Join(t.TempDir(), "a.sock")))
	for range maxConnections {
		_, in := open(t, at, getConfig)
		if _, err := in.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	for healthy := false; !healthy; {
		network, address := at.split()
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, getHealth)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		// Perhaps there was none that waited at that moment, and the kernel still took what was written.
		healthy = err == nil && res.StatusCode == 200
		c.Close()
	}
}

// There is nobody to make room while all are being worked for: then the new one has to leave.
func TestConnectionsAtWork(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 2, false)
	defer l.Close()
	accept := func() *connection {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c.(*connection)
	}
	one, oneIn := open(t, AddressOf(l), "")
	first := accept()
	open(t, AddressOf(l), "")
	second := accept()
	first.work()
	second.work()
	third, thirdIn := open(t, AddressOf(l), "")
	accepted := make(chan *connection)
	go func() {
		c, _ := l.Accept()
		accepted <- c.(*connection)
	}()
	ended(t, third, thirdIn)
	first.rest()
	open(t, AddressOf(l), "")
	fourth := <-accepted
	ended(t, one, oneIn)
	if err := second.Close(); err != nil || len(l.open) != 1 {
		t.Errorf("%v, %d connections", err, len(l.open))
	}
	if err := fourth.Close(); err != nil || len(l.open) != 0 {
		t.Errorf("%v, %d connections", err, len(l.open))
	}
}

// deadlines is a connection that keeps what it is told.
type deadlines struct {
	net.Conn
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = t
	return nil
}

// Who has not shown the token has little time, whatever is set for others.
func TestHurriedConnections(t *testing.T) {
	begin := time.Now()
	for strict, most := range map[bool]time.Duration{true: headTimeout, false: idleTimeout} {
		d := &deadlines{}
		c := limit(nil, 1, strict).admit(d)
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
		if got := d.read.Sub(begin); got < most || got > most+time.Since(begin) {
			t.Errorf("strict %v: %s", strict, got)
		}
		if c.work(); !d.read.IsZero() {
			t.Errorf("a deadline for who waits: %s", d.read)
		}
		c.trust()
		_ = c.SetReadDeadline(begin.Add(idleTimeout))
		if got := d.read.Sub(begin); got != idleTimeout {
			t.Errorf("strict %v: %s when the token was shown", strict, got)
		}
	}
}

// The token makes a connection one that has time; nothing else does.
func TestTokenGivesTime(t *testing.T) {
	s := &Server{process: &made{}}
	s.token.set(secret)
	s.endpoints = s.list()
	answer := s.guarded(http.HandlerFunc(s.answer))
	c := limit(nil, 1, true).admit(&deadlines{})
	for _, tt := range []struct {
		path, token string
		hurried     bool
	}{{"/healthz", secret, true}, {"/", secret[1:], true}, {"/", secret, false}, {"/healthz", "", false}} {
		r := httptest.NewRequestWithContext(withConnection(t.Context(), c), "GET", tt.path, nil)
		r.Header.Set("Authorization", "Bearer "+tt.token)
		answer.ServeHTTP(httptest.NewRecorder(), r)
		if c.hurried.Load() != tt.hurried {
			t.Errorf("%s with %q: hurried %v", tt.path, tt.token, !tt.hurried)
		}
	}
}

// Figures are made for one at a time; who waits for his turn has a place that others may take.
func TestFiguresOneByOne(t *testing.T) {
	m := &made{asked: make(chan struct{}), tell: make(chan struct{}), over: make(chan struct{})}
	at := start(t, m, "")
	defer close(m.over)
	paths := []string{"/metrics", "/api/status", "/api/metrics.json"}
	var in []*bufio.Reader
	for _, path := range paths {
		_, r := open(t, at, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		in = append(in, r)
	}
	for range paths {
		<-m.asked
		m.tell <- struct{}{}
	}
	for i, r := range in {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || int64(len(body)) != res.ContentLength {
			t.Errorf("%s: %d, %v, %d bytes of %d", paths[i], res.StatusCode, err, len(body), res.ContentLength)
		}
	}

	_, first := open(t, at, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-m.asked
	for range 2 * maxConnections {
		open(t, at, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	if _, body := exchange(t, at, "GET /healthz HTTP/1.1", "Host: localhost"); body != "ok\n" {
		t.Errorf("body %q", body)
	}
	m.tell <- struct{}{}
	if res, err := http.ReadResponse(first, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("who was being worked for: %v", err)
	}
	if m.crowded.Load() {
		t.Error("two at a time")
	}
}

// The figures of very many shards are no reason to fail, an endless answer is.
func TestLargeAnswers(t *testing.T) {
	at := start(t, &made{big: 200}, "")
	m, err := NewClient(at, "").Metrics(t.Context())
	if err != nil || len(m.Shards) != 201 {
		t.Fatalf("%v, %d shards", err, len(m.Shards))
	}
	endless, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer endless.Close()
	go func() {
		c, err := endless.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
		for piece := []byte(strings.Repeat("[", 1<<16)); err == nil; {
			_, err = c.Write(piece)
		}
	}()
	_, err = NewClient(AddressOf(endless), "").Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the answer has more than 8388608 bytes") {
		t.Errorf("%v", err)
	}
}
