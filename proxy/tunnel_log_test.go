package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/accesslog"
)

// A line is about one thing alone: nothing of the last one is left in it.
func TestLinesOfTunnelsAndExchanges(t *testing.T) {
	rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rings.Close() })
	far := farEnd(t, func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 4096))
		conn.Close()
	})
	r := start(t, backends["epoll"](), []string{nobody(t)},
		edits(tunnelRig(newIdentity(t), far), func(r *rig) { r.log = rings.Ring(0) }))
	line := func() (text string) {
		r.waitFor("a line", func() bool { text += logged(rings.Ring(0)); return strings.HasSuffix(text, "\n") })
		return text
	}
	for range 2 {
		conn := dialRig(t, r)
		if _, err := conn.Write(clientHello(t, "pass.example.com")); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
		if got := line(); !strings.Contains(got, `"method":"","scheme":"tls","host":"pass.example.com","path":"",`+
			`"protocol":"tls","status":0,`) || strings.Contains(got, "tls_version") {
			t.Error(got)
		}
		secure, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true, ServerName: "example.com"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(secure, "GET /x HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, secure)
		secure.Close()
		if got := line(); !strings.Contains(got, `"path":"/x","protocol":"HTTP/1.1","status":502,`) ||
			!strings.Contains(got, `"tls_version":"1.3"`) {
			t.Error(got)
		}
	}
}
