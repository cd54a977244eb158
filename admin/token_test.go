package admin

import (
	"context"
	"net"
	"strings"
	"testing"
)

const secret = "0123456789abcdef-._~+/=="

// Who has no token gets in nowhere but where probes do.
func TestToken(t *testing.T) {
	m := &made{}
	at := startWith(t, m, "", Options{Token: secret, Pprof: true})
	for _, tt := range []struct {
		lines []string
		code  int
	}{
		{[]string{"GET /healthz HTTP/1.1", "Host: x.test"}, 200},
		{[]string{"GET /readyz HTTP/1.1", "Host: 127.0.0.1"}, 200},
		{[]string{"GET / HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"GET /nothing HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"GET /metrics HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"GET /api/config HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"GET /debug/pprof/heap HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"POST /api/reload HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"POST /api/reload?access_token=" + secret + " HTTP/1.1", "Host: localhost"}, 401},
		{[]string{"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: Bearer"}, 401},
		{[]string{"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: Bearer " + secret[1:]}, 401},
		{[]string{"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: Bearer " + secret + "="}, 401},
		{[]string{"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: Basic " + secret}, 401},
		{[]string{"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: " + secret}, 401},
		{[]string{
			"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: Bearer " + secret,
			"Authorization: Bearer " + secret,
		}, 401},
		{[]string{
			"POST /api/reload HTTP/1.1", "Host: localhost", "Authorization: Bearer " + secret,
			"Sec-Fetch-Site: cross-site",
		}, 403},
		{[]string{"POST /api/reload HTTP/1.1", "Host: edge.test", "Authorization: Bearer " + secret}, 200},
		{[]string{"GET /api/status HTTP/1.1", "Host: localhost", "Authorization: bearer  " + secret}, 200},
		{[]string{"GET / HTTP/1.1", "Host: localhost", "Authorization: Bearer " + secret}, 200},
	} {
		before := m.reloads.Load()
		res, body := exchange(t, at, tt.lines...)
		challenge := res.Header.Get("WWW-Authenticate")
		if res.StatusCode != tt.code || (challenge != "") != (tt.code == 401) || strings.Contains(body, secret) {
			t.Errorf("%q: %d, challenge %q, %s", tt.lines, res.StatusCode, challenge, body)
		}
		if tt.code != 200 && m.reloads.Load() != before {
			t.Errorf("%q: reloaded", tt.lines)
		}
	}
	res, _ := exchange(t, at, "GET / HTTP/1.1", "Host: a", "Authorization: Bearer nonsense")
	if got := res.Header.Get("WWW-Authenticate"); got != `Bearer realm="uringproxy", error="invalid_token"` {
		t.Errorf("challenge %q", got)
	}
}

func TestClientWithToken(t *testing.T) {
	at := startWith(t, &made{}, "", Options{Token: secret})
	if s, err := NewClient(at, secret).Status(t.Context()); err != nil || s.PID != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, token := range []string{"", "another"} {
		_, err := NewClient(at, token).Metrics(t.Context())
		if err == nil || !strings.Contains(err.Error(), "--token-file FILE") {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

// late is a context whose time is over when a channel is closed.
type late struct {
	context.Context
	over chan struct{}
}

func (l late) Done() <-chan struct{} { return l.over }

func (l late) Err() error {
	select {
	case <-l.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// A process that takes a connection and says nothing.
func TestClientOfWhoSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	over := make(chan struct{})
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			_, _ = c.Read(make([]byte, 1)) // the question has come
		}
		close(over)
		<-t.Context().Done()
	}()
	want := "ask " + l.Addr().String() + ": there is a connection, and no answer in time"
	_, err = NewClient(AddressOf(l), "").Metrics(late{context.Background(), over})
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestSetToken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := NewClient(start(t, &made{}, ""), "")
	s := Serve(l, &made{}, Options{Token: secret, Log: quiet})
	defer s.Close()
	s.SetToken("a new one")
	s.SetToken("")
	if _, err := NewClient(AddressOf(l), "a new one").Status(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := NewClient(AddressOf(l), secret).Status(t.Context()); err == nil {
		t.Error("the old token is as good as ever")
	}
	if _, err := open.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// Beyond the loopback a token is asked for, or nobody listens.
func TestListenBeyondLoopback(t *testing.T) {
	if l, err := Listen("0.0.0.0:0", Options{}); err == nil {
		l.Close()
		t.Error("everybody gets in")
	}
	l, err := Listen("0.0.0.0:0", Options{Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
