package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

// A request id is taken over from a trusted client only if it means nothing to whatever it is written into.
func TestRequestIDInReply(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), nil, func(r *rig) {
			r.snap.Services[0].Endpoints, r.snap.Services[0].Cycle = nil, nil
			r.snap.Listeners[0].Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		})
		for id, kept := range map[string]bool{"0af7-x_y.Z": true, `x","admin":"yes`: false, "a b": false, `\`: false} {
			req, err := http.NewRequest("GET", "http://"+r.addr+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Request-Id", id)
			req.Header.Set("Accept", "application/json")
			res, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			var reply map[string]any
			if err != nil || json.Unmarshal(b, &reply) != nil || len(reply) != 3 {
				t.Errorf("%q: %d %q, %v", id, res.StatusCode, b, err)
				continue
			}
			if got := reply["request_id"]; (got == id) != kept || got != res.Header.Get("X-Request-Id") {
				t.Errorf("%q became %q, in the header %q", id, got, res.Header.Get("X-Request-Id"))
			}
		}
	})
}
