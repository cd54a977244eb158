package e2e

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
)

const drains = "msg=draining"

// held is a proxy with one request, for /held, that its upstream has taken and not answered, which it does when told
// to. Others are answered at once.
type held struct {
	*Proxy
	addr   string
	client *Wire
	answer chan struct{}
}

func holdRequest(t *testing.T, engine, config string) *held {
	h := &held{addr: FreeAddr(t, "127.0.0.1"), answer: make(chan struct{}, 1)}
	taken := make(chan struct{}, 1)
	up := NewScripted(t, func(p *Peer) {
		if req, _ := p.ReadRequest(); req.URL.Path != "/held" {
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			return
		}
		taken <- struct{}{}
		select {
		case <-h.answer:
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer")
		case <-p.over:
		}
	})
	h.Proxy = Start(t, Config(up.URL(), h.addr)+config, "--engine", engine)
	h.client = Raw(t, h.addr)
	h.client.Send(Request("GET", "/held", "x.test", ""))
	<-taken
	return h
}

// SIGTERM: what runs is finished, what is idle is closed, who comes is refused.
func TestDrain(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			Engines(t, func(t *testing.T, engine string) {
				p := holdRequest(t, engine, "")
				idle := Raw(t, p.addr)
				idle.Send(Request("GET", "/", "x.test", ""))
				if res := idle.ReadResponse("GET"); res.Text != "ok" || res.Close {
					t.Errorf("%d %q, Connection: close: %v", res.StatusCode, res.Text, res.Close)
				}
				p.Signal(sig)
				p.WaitOutput(drains, 1)
				idle.ExpectEOF()
				if c, err := net.DialTimeout("tcp", p.addr, hang); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("connect while draining: %v, %v, want a refusal", c, err)
				}
				p.answer <- struct{}{}
				if res := p.client.ReadResponse("GET"); res.Text != "answer" || !res.Close {
					t.Errorf("%d %q, Connection: close: %v", res.StatusCode, res.Text, res.Close)
				}
				p.client.ExpectEOF()
				if code := p.Wait(); code != 0 || !strings.Contains(p.Output(), nothingHeld) {
					t.Errorf("exit code %d", code)
				}
			})
		})
	}
}

// The deadline cuts off what is not finished by then.
func TestDrainDeadline(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		p := holdRequest(t, engine, "[timeouts]\ndrain = \"200ms\"\n")
		p.Signal(syscall.SIGTERM)
		p.client.ExpectEOF()
		if code := p.Wait(); code != 0 || !strings.Contains(p.Output(), nothingHeld) {
			t.Errorf("exit code %d", code)
		}
		for _, text := range []string{`msg="drain deadline passed, requests cut off" requests=1`,
			"1 shutting down while draining connections"} {
			if !strings.Contains(p.Output(), text) {
				t.Errorf("the log does not say %q", text)
			}
		}
	})
}

// The second signal does not wait for anything, and the exit code tells.
func TestSecondSignal(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		p := holdRequest(t, engine, "")
		p.Signal(syscall.SIGTERM)
		p.WaitOutput(drains, 1)
		p.Signal(syscall.SIGTERM)
		p.client.ExpectEOF()
		if code := p.Wait(); code != 1 || !strings.Contains(p.Output(), "second signal") {
			t.Errorf("exit code %d", code)
		}
	})
}
