package proxy

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/plan"
)

// owner gives the only endpoint's ID and address.
func (r *simRig) owner(id uint32, addr string) {
	r.publish(func(s *plan.Snapshot) {
		service := s.Services[0]
		service.Endpoints = []plan.Endpoint{{ID: id, Name: addr, Addr: netip.MustParseAddrPort(addr)}}
		s.Services = []plan.Service{service}
	})
	r.until("adoption", func() bool { return r.sh.Snapshot() == r.snap })
}

// An ID that an address has given up is another's as if it were new: with no connection to the first one, and without
// what its responses have taught. What still runs on the first one goes on until then.
func TestSimAnIDHasANewOwner(t *testing.T) {
	r := newTimeoutRig(t, nil)
	large := ok200 + "Content-Length: " + strconv.Itoa(largeResponse) + "\r\n\r\n" +
		strings.Repeat("x", largeResponse)
	answers := []string{large, large, large, ok200 + "Content-Length: 4\r\n\r\n"}
	first := r.server(func(int) string {
		answer := answers[0]
		answers = answers[1:]
		return answer
	})
	second := r.serverAt(simEndpoints[1], func(int) string { return okResponse })
	third := r.serverAt(simEndpoints[2], func(int) string { return okResponse })
	client := r.talk("")
	for n := range 3 {
		client.say(simGet)
		r.until("a response", func() bool { return strings.Count(client.got, "HTTP/1.1 200") == n+1 })
		r.until("its end", func() bool { return r.w.endpoints[0].pooled.len == 1 })
	}
	if !r.w.endpoints[0].large() {
		t.Fatal("no large responses were seen")
	}
	client.say(simGet)
	client.heard("Content-Length: 4")

	r.owner(1, simEndpoints[1])
	if e := &r.w.endpoints[0]; e.live || e.open != 1 {
		t.Errorf("after it went: %+v", *e)
	}
	r.talk(simGet).heard("ok")
	if oldest := r.sh.Oldest(); oldest == r.snap.Generation {
		t.Errorf("oldest snapshot %d, while a response is running", oldest)
	}
	_, _ = first.peers[0].Write([]byte("done"))
	client.heard("done")
	r.until("the end of the old snapshot", func() bool { return r.sh.Oldest() == r.snap.Generation })

	r.owner(0, simEndpoints[2])
	if e := &r.w.endpoints[0]; !e.live || e.open != 0 || e.large() {
		t.Errorf("with its new owner: %+v", *e)
	}
	r.talk(simGet).heard("ok")
	if len(first.peers) != 1 || len(second.peers) != 1 || len(third.peers) != 1 {
		t.Errorf("%d, %d and %d connections", len(first.peers), len(second.peers), len(third.peers))
	}
	r.stop()
}
