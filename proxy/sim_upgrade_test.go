package proxy

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

const (
	tcpOffer = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
	wsFields = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	wsOffer  = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
	wsGet    = "GET /chat HTTP/1.1\r\nHost: a\r\n" + wsOffer + wsFields + "\r\n"
	wsAccept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	wsSwitch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + wsAccept + "\r\n"

	connectGet = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
)

// switching has the route allow upgrades and CONNECT.
func switching(snap *plan.Snapshot) {
	snap.Routes = []plan.Route{{Name: "all", Upgrades: []string{"websocket", "tcp"}, Connect: true}}
	snap.Timeouts.UpgradeIdle = 25 * time.Minute
}

func newSwitchRig(t *testing.T) *simRig {
	return newTimeoutRig(t, switching)
}

// carried is what the route has carried upwards and down, when all has ended.
func (r *simRig) carried() (up, down uint64) {
	for _, v := range r.metrics.Series(metrics.RouteSeries) {
		up, down = up+v.CarriedUp, down+v.CarriedDown
	}
	return up, down
}

// ends wants one upgrade, that has ended for this reason.
func (r *simRig) ends(why metrics.Reason) {
	r.t.Helper()
	s := r.metrics.Snapshot()
	if s.PassagesBegan(metrics.Upgrades) != 1 || s.PassagesEnded(metrics.Upgrades, why) != 1 {
		r.t.Errorf("%d upgrades, %d ended with %q: %v", s.PassagesBegan(metrics.Upgrades),
			s.PassagesEnded(metrics.Upgrades, why), why, s)
	}
}

// However request and answer are cut, with a stream behind each, both arrive.
func TestSimUpgradeSplits(t *testing.T) {
	const near, far = "what the client says", "what the server says"
	for _, tc := range []struct{ ask, answer string }{
		{wsGet, wsSwitch}, {connectGet, "HTTP/1.1 200 Connection established\r\nContent-Length: 3\r\n\r\n"},
	} {
		ask, answer := tc.ask+near, tc.answer+far
		for at := range len(ask) + len(answer) {
			r := newSwitchRig(t)
			s := r.server(func(int) string { return "" })
			k := r.talk(ask[:min(at, len(tc.ask))])
			r.pass(time.Millisecond)
			k.say(ask[min(at, len(tc.ask)):])
			r.until("the request", func() bool { return len(s.got) == 1 && strings.HasSuffix(s.got[0], "\r\n\r\n") })
			if strings.Contains(s.got[0], near) {
				t.Fatalf("the stream has begun before it was switched: %q", s.got[0])
			}
			cut := max(0, at-len(ask))
			s.peers[0].Write([]byte(answer[:cut]))
			r.pass(time.Millisecond)
			s.peers[0].Write([]byte(answer[cut:]))
			k.heard(far)
			if head, rest, _ := strings.Cut(k.got, "\r\n\r\n"); rest != far || strings.Contains(head, "Length") {
				t.Fatalf("split at %d: the client got %q", at, k.got)
			}
			r.until("the stream", func() bool { return strings.HasSuffix(s.got[0], "\r\n\r\n"+near) })
			k.p.CloseWrite()
			s.peers[0].CloseWrite()
			k.ended()
			r.stop()
			if up, down := r.carried(); k.err != io.EOF || up != uint64(len(near)) || down != uint64(len(far)) {
				t.Fatalf("split at %d: %v, %d bytes up, %d down", at, k.err, up, down)
			}
			r.ends(metrics.None)
		}
	}
}

// What upstreams get of what clients offer.
func TestSimUpgradeOffers(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
	edit := func(old, new string) string { return strings.Replace(wsGet, old, new, 1) }
	for name, tc := range map[string]struct {
		allowed []string
		ask     string
		want    string // in the head that the upstream gets; empty: no offer
		status  string // of an answer of our own; empty: none
	}{
		"websocket":       {[]string{"websocket"}, wsGet, "Connection: upgrade\r\nUpgrade: websocket\r\n", ""},
		"any":             {[]string{"*"}, wsGet, "Connection: upgrade\r\nUpgrade: websocket\r\n", ""},
		"none":            {nil, wsGet, "", ""},
		"others":          {[]string{"spdy"}, wsGet, "", ""},
		"of several":      {[]string{"foo"}, edit("websocket", "h2c, Foo/2, bar,foo"), "Upgrade: Foo/2, foo\r\n", ""},
		"h2c":             {[]string{"*"}, edit("websocket", "h2c"), "", ""},
		"unnamed":         {[]string{"*"}, edit("Connection: keep-alive, Upgrade\r\n", ""), "", ""},
		"HTTP/1.0":        {[]string{"*"}, edit("HTTP/1.1", "HTTP/1.0"), "", ""},
		"with a body":     {[]string{"tcp"}, post + tcpOffer + "\r\nok", "Upgrade: tcp\r\n", ""},
		"no key":          {[]string{"websocket"}, edit("Sec-WebSocket-Key", "X"), "", "400"},
		"no key, ignored": {nil, edit("Sec-WebSocket-Key", "X"), "", ""},
		"websocket, body": {[]string{"*"}, post + wsOffer + wsFields + "\r\nok", "", "400"},
		"malformed":       {nil, edit("websocket", "web socket"), "", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTimeoutRig(t, func(snap *plan.Snapshot) {
				switching(snap)
				snap.Routes[0].Upgrades = tc.allowed
			})
			s := r.server(func(int) string { return okResponse })
			k := r.talk(tc.ask)
			if tc.status != "" {
				k.heard("HTTP/1.1 " + tc.status + " ").heard("\r\nContent-Type: text/plain")
				if len(s.got) != 0 {
					t.Errorf("the upstream got %q", s.got[0])
				}
			} else {
				k.heard("ok")
				_, behind, _ := strings.Cut(s.got[0], "\r\n")
				if !strings.Contains(behind, tc.want) || tc.want == "" && strings.Contains(behind, "pgrade") {
					t.Errorf("the upstream got %q", s.got[0])
				}
			}
			k.p.Close()
			r.stop()
		})
	}
}

// What clients are told is wrong with their handshakes.
func TestSimUpgradeFaultTold(t *testing.T) {
	r := newSwitchRig(t)
	bad := strings.Replace(wsGet, "==", "=", 1)
	const reason = "WebSocket handshake without one valid Sec-WebSocket-Key"
	k := r.talk(bad + simGet).heard("\r\n\r\n400 Bad Request\n" + reason + "\nrequest id: ").ended()
	if strings.Count(k.got, "HTTP/1.1") != 1 || !strings.Contains(k.got, "Connection: close\r\n") {
		t.Errorf("%q", k.got)
	}
	k = r.talk(strings.Replace(bad, "Host: a", "Host: a\r\nAccept: application/json", 1))
	k.heard(`,"reason":"` + reason + `",`).ended()
	r.stop()
}

// A 101 that was not asked for, or is not what was asked for, is none.
func TestSimUpgradeAnswers(t *testing.T) {
	const tcpGet = "GET / HTTP/1.1\r\nHost: a\r\n" + tcpOffer + "\r\n"
	post := strings.Replace(strings.Replace(tcpGet, "GET", "POST", 1), "Host", "Content-Length: 2\r\nHost", 1)
	edit := func(old, new string) string { return strings.Replace(wsSwitch, old, new, 1) }
	for name, tc := range map[string]struct {
		ask, answer string
		kept        bool // the client's connection
	}{
		"unasked":               {simGet, wsSwitch, true},
		"unasked, not allowed":  {strings.Replace(wsGet, "websocket", "h2c", 1), edit("websocket", "h2c"), true},
		"not offered":           {wsGet, edit("websocket", "tcp"), false},
		"without Upgrade":       {wsGet, edit("Upgrade: websocket\r\n", ""), false},
		"without Connection":    {wsGet, edit("Connection: Upgrade\r\n", ""), false},
		"wrong accept":          {wsGet, edit("s3p", "S3P"), false},
		"no accept":             {wsGet, edit(wsAccept, ""), false},
		"two protocols":         {wsGet, edit("websocket", "websocket, tcp"), false},
		"early":                 {post, edit("websocket", "tcp"), false},
		"to CONNECT":            {connectGet, wsSwitch, false},
		"HTTP/1.0":              {wsGet, edit("HTTP/1.1", "HTTP/1.0"), false},
		"with a length":         {wsGet, edit("Upgrade:", "Content-Length: 5\r\nUpgrade:"), false},
		"with something behind": {simGet, wsSwitch + okResponse, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSwitchRig(t)
			s := r.server(func(n int) string { return []string{tc.answer, okResponse}[n] })
			k := r.talk(tc.ask).heard("HTTP/1.1 502 Bad Gateway").heard("request id")
			if !tc.kept {
				k.ended()
			} else {
				k.say(simGet)
				k.heard("HTTP/1.1 200 OK")
			}
			if strings.Contains(k.got, " 101 ") || tc.kept != (len(s.got) == 2) {
				t.Errorf("%q over %d connections to the upstream", k.got, len(s.got))
			}
			k.p.Close()
			r.stop()
			if s := r.metrics.Snapshot(); s.PassagesBegan(metrics.Upgrades) != 0 {
				t.Errorf("switched: %v", s)
			}
		})
	}
}

// A connection whose offer is not taken up ends: what the client has sent ahead is no request.
func TestSimUpgradeNotTakenUp(t *testing.T) {
	const early = "GET /early HTTP/1.1\r\nHost: a\r\n\r\n"
	const needed = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"
	for _, answer := range []string{
		okResponse, needed + "Content-Length: 2\r\n\r\nok",
		"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	} {
		for _, ask := range []string{wsGet, connectGet} {
			if ask == connectGet && answer == okResponse {
				continue // granted
			}
			r := newSwitchRig(t)
			s := r.server(func(int) string { return answer })
			k := r.talk(ask + early).heard("ok").ended()
			told := strings.Contains(k.got, "Connection: close\r\n")
			if len(s.got) != 1 || strings.Contains(s.got[0], "early") || !told {
				t.Errorf("%q reached the upstream, %q the client", s.got, k.got)
			}
			r.stop()
		}
		// It may have sent more before it could know of the answer, however late that comes here.
		r := newSwitchRig(t)
		s := r.server(func(int) string { return "" })
		k := r.talk(wsGet)
		r.until("the request", func() bool { return len(s.got) == 1 })
		cut := strings.Index(answer, "\r\n\r\n") + 4
		s.peers[0].Write([]byte(answer[:cut]))
		k.heard("\r\n\r\n")
		k.say(early)
		r.pass(time.Millisecond)
		s.peers[0].Write([]byte(answer[cut:]))
		k.heard("ok").ended()
		if len(s.got) != 1 || strings.Contains(s.got[0], "early") || !strings.Contains(k.got, "Connection: close\r\n") {
			t.Errorf("%q reached the upstream, %q the client", s.got, k.got)
		}
		r.stop()
	}
}

// An offer that no route allows is dropped, and the connection goes on, unless the client has sent something ahead: for
// it, that may be the beginning of a stream.
func TestSimUpgradeDropped(t *testing.T) {
	ask := strings.Replace(wsGet, "websocket", "h2c", 1)
	r := newSwitchRig(t)
	s := r.server(func(int) string { return okResponse })
	k := r.talk(ask).heard("ok")
	k.say(ask)
	r.until("two responses", func() bool { return strings.Count(k.got, "ok") == 2 })
	k.p.Close()
	k = r.talk(ask + "GET /early HTTP/1.1\r\nHost: a\r\n\r\n").heard("ok").ended()
	if all := strings.Join(s.got, ""); strings.Contains(all, "early") || strings.Count(all, "GET ") != 3 {
		t.Errorf("%q reached the upstream, %q the client", s.got, k.got)
	}
	r.stop()
}

// Over TLS, what the client has sent ahead is no request either, though it was not opened yet.
func TestSimUpgradeAheadOverTLS(t *testing.T) {
	run, p, far := simOverTLS(t)
	run.publish(switching)
	run.pass(time.Millisecond)
	s := run.server(func(int) string { return okResponse })
	far.say(t, p, wsGet)
	for range 40 {
		far.say(t, p, simGet)
	}
	run.until("the response", func() bool { return run.metrics.Snapshot().Requests() == 1 })
	p.Close()
	run.stop()
	if n := strings.Count(s.got[0], "\r\n\r\n"); n != 1 {
		t.Errorf("%d requests reached the upstream", n)
	}
}

// CONNECT is refused where no route allows it, and what follows it is no request.
func TestSimConnectRefused(t *testing.T) {
	for name, edit := range map[string]func(*plan.Snapshot){
		"by the route": func(s *plan.Snapshot) { switching(s); s.Routes[0].Connect = false },
		"by a redirect": func(s *plan.Snapshot) {
			switching(s)
			s.Listeners[0].Redirect = &plan.Redirect{Port: 443, Code: 308}
		},
		"without one": func(s *plan.Snapshot) { s.Listeners[0].Table = hostTable(t, "other") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTimeoutRig(t, edit)
			s := r.server(func(int) string { return okResponse })
			k := r.talk(connectGet + simGet).ended()
			once := strings.Count(k.got, "HTTP/1.1 ") == 1
			if !strings.HasPrefix(k.got, "HTTP/1.1 405 ") || !once || len(s.got) != 0 {
				t.Errorf("%q, %q", k.got, s.got)
			}
			r.stop()
			r.reason(metrics.ConnectRefused)
		})
	}
}

// CONNECT is routed by what it names, and forwarded as it is, with a Host.
func TestSimConnectForwarded(t *testing.T) {
	for _, minor := range []int{0, 1} {
		r := newTimeoutRig(t, func(s *plan.Snapshot) { switching(s); s.Listeners[0].Table = hostTable(t, "b.example") })
		s := r.server(func(int) string { return "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n" })
		ask := fmt.Sprintf("CONNECT b.example:443 HTTP/1.%d\r\n", minor)
		if minor == 1 {
			ask += "Host: b.example:443\r\nContent-Length: 0\r\n"
		}
		k := r.talk(ask + "\r\n").heard("X: y\r\n\r\n")
		head, _, _ := strings.Cut(s.got[0], "\r\n\r\n")
		if !strings.HasPrefix(head, "CONNECT b.example:443 HTTP/1.1\r\n") ||
			strings.Count(head, "\r\nHost: b.example:443") != 1 || strings.Contains(head, "Content-Length") {
			t.Errorf("forwarded: %q", head)
		}
		if strings.Contains(k.got, "Transfer-Encoding") || !strings.HasPrefix(k.got, "HTTP/1.1 200 Fine\r\n") {
			t.Errorf("the client got %q", k.got)
		}
		k.p.Close()
		s.peers[0].Close()
		r.stop()
	}
}

// Where a stream would be cut off soon, or there is no room for one, none begins.
func TestSimUpgradeTurnedAway(t *testing.T) {
	r := newSwitchRig(t)
	s := r.server(func(int) string { return wsSwitch })
	var all []uint32
	for i := r.w.tunnels.Take(); i != 0; i = r.w.tunnels.Take() {
		all = append(all, i)
	}
	k := r.talk(wsGet).heard("HTTP/1.1 503 ").heard("request id")
	r.reason(metrics.LimitBuffers)
	for _, i := range all {
		r.w.tunnels.Put(i)
	}
	k = r.talk(wsGet).heard("HTTP/1.1 101 ")
	late := r.talk(wsGet[:20])
	r.until("the beginning of a head", func() bool { return r.w.Gauges().Exchanges == 1 })
	r.drain()
	r.pass(time.Millisecond)
	late.say(wsGet[20:])
	late.heard("HTTP/1.1 503 ").heard("Connection: close\r\n").ended()
	r.reason(metrics.ShuttingDown)
	if len(s.got) != 2 {
		t.Errorf("%d connections to the upstream", len(s.got))
	}
	k.p.Close()
	s.peers[1].Close()
	r.stop()
}

// A switch behind interim responses is one, also when the client has ended its stream before, and the stream's end is
// passed on.
func TestSimUpgradeBehindInterims(t *testing.T) {
	const interims = "HTTP/1.1 100 Continue\r\n\r\n" +
		"HTTP/1.1 103 Early Hints\r\nUpgrade: tcp\r\nConnection: upgrade\r\n\r\n"
	for _, half := range []bool{false, true} {
		r := newSwitchRig(t)
		s := r.server(func(int) string { return "" })
		k := r.talk(wsGet + "near")
		if half {
			k.p.CloseWrite()
		}
		r.until("the request", func() bool { return len(s.got) == 1 && strings.HasSuffix(s.got[0], "\r\n\r\n") })
		s.peers[0].Write([]byte(interims))
		k.heard("103 Early Hints").heard("\r\n\r\n")
		if strings.Contains(k.got, "pgrade") {
			t.Errorf("the client got %q", k.got)
		}
		s.peers[0].Write([]byte(wsSwitch + "far"))
		k.heard("far")
		r.until("the stream", func() bool { return strings.HasSuffix(s.got[0], "\r\n\r\nnear") })
		if !half {
			k.p.CloseWrite()
		}
		s.peers[0].CloseWrite()
		k.ended()
		r.stop()
		r.ends(metrics.None)
	}
}
