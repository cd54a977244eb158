package proxy

import (
	"bytes"
	"crypto/tls"
	"net"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// sealedUpstream is fixedUpstream over TLS. crypto/tls allocates nothing per record that it reads or writes.
func sealedUpstream(t testing.TB, id identity, end, answer []byte) string {
	cfg := &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}}
	return scripted(t, func(_ int, raw *net.TCPConn) { respond(tls.Server(raw, cfg), end, answer) })
}

// Nothing is allocated per request, keep-alive turn, body chunk or record, with TLS on both sides.
func TestTLSNoAllocation(t *testing.T) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	id := newIdentity(t)
	const turns = 60
	body := strings.Repeat("b", 50_000)
	cases := []struct{ name, request, end, answer string }{
		{"get", "GET /p?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n", "\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"},
		{"bodies", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + body, body,
			"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + body},
	}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			for _, tc := range cases {
				t.Run(tls.VersionName(version)+" "+tc.name, func(t *testing.T) {
					up := sealedUpstream(t, id, []byte(tc.end), []byte(tc.answer))
					rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { rings.Close() })
					r := start(t, open(), []string{up}, edits(secureRig(id, false, handshake.Policy{}),
						toSecure(id, false, handshake.ClientOptions{MaxVersion: version}),
						func(r *rig) { r.log = rings.Ring(0) }))
					cfg := &tls.Config{RootCAs: id.believers, ServerName: "example.com", MaxVersion: version}
					c, err := tls.Dial("tcp", r.addr, cfg)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					request, buf := []byte(tc.request), make([]byte, 128<<10)
					head := []byte("\r\n\r\n")
					length := len(tc.answer) - strings.Index(tc.answer, "\r\n\r\n") // of the body, and of that
					turn := func() {
						if _, err := c.Write(request); err != nil {
							t.Fatal(err)
						}
						for n, at := 0, -1; at < 0 || n < at+length; at = bytes.Index(buf[:n], head) {
							m, err := c.Read(buf[n:])
							if err != nil {
								t.Fatal(err)
							}
							n += m
						}
					}
					ours := []string{"uringproxy/proxy.", "uringproxy/tls/record.", "uringproxy/shard."}
					for name, n := range allocatedBy(ours, turns, turn) {
						if n > turns/10 {
							t.Errorf("%s: %d allocations in %d requests", name, n, turns)
						}
					}
				})
			}
		}
	})
}

// allocatedBy is how often functions of the packages allocate in so many turns, by name. crypto/tls, at the other ends,
// allocates once per record that it reads.
func allocatedBy(packages []string, turns int, turn func()) map[string]int64 {
	for range turns { // tables and free lists grow to their size
		turn()
	}
	before := allocationsOf(packages)
	for range turns {
		turn()
	}
	after := allocationsOf(packages)
	for name, n := range before {
		if after[name] -= n; after[name] == 0 {
			delete(after, name)
		}
	}
	return after
}

// allocationsOf reads the profile of allocations: in how many each of the packages' functions had a part.
func allocationsOf(packages []string) map[string]int64 {
	runtime.GC() // the profile is that of the collection before the last
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 20_000)
	n, ok := runtime.MemProfile(records, true)
	if !ok {
		panic("the profile of allocations is larger than expected")
	}
	by := map[string]int64{}
	for _, r := range records[:n] {
		var ours []string
		for frames, more := runtime.CallersFrames(r.Stack()), true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if strings.HasSuffix(f.Function, ".unpark") { // collecting took so long that connections came to rest
				ours = nil
				break
			}
			for _, p := range packages {
				if strings.Contains(f.Function, p) && !strings.HasSuffix(f.File, "_test.go") {
					ours = append(ours, f.Function)
				}
			}
		}
		for _, name := range ours {
			by[name] += r.AllocObjects
		}
	}
	return by
}

// An idle connection over TLS costs its slot, its state and its ciphers.
func TestSecureSize(t *testing.T) {
	const limit = 496
	if n := unsafe.Sizeof(secure{}); n > limit {
		t.Errorf("the state of a connection over TLS has %d bytes, more than %d", n, limit)
	}
	t.Logf("secure: %d bytes", unsafe.Sizeof(secure{}))
}
