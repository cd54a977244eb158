package handshake

import (
	"crypto/tls"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// onlyFIPS marks a process that was started to allow nothing but what FIPS 140 approves of.
const onlyFIPS = "fips140=only"

// TestOnlyFIPS has a process in which AES-GCM takes no nonces of the caller's, so that there can be no hand-over: the
// self-test says so, and relays serve.
func TestOnlyFIPS(t *testing.T) {
	if os.Getenv("GODEBUG") == onlyFIPS {
		if err := SelfTest(); err == nil || !strings.Contains(err.Error(), "FIPS 140-only") {
			t.Errorf("the self-test says %v", err)
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			b := newBench(t, PoolOptions{InFlight: 1, Relay: true})
			server := newServer(t, ServerOptions{Tickets: RandomTickets(), Default: Policy{MaxVersion: version}})
			config := theWorld().client()
			for _, resumed := range []bool{false, true} {
				s, done := b.serve(server, config, chat)
				if o := s.answer(done); o.Resumed != resumed {
					t.Errorf("%s: %+v", tls.VersionName(version), o)
				}
			}
		}
		return
	}
	again := exec.Command(os.Args[0], "-test.run", "^TestOnlyFIPS$", "-test.timeout", "60s")
	again.Env = append(os.Environ(), "GODEBUG="+onlyFIPS)
	if output, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
