package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// distant is an address of the loopback network that no proxy of these tests has: where clients come from.
const distant = "127.0.0.55"

// dialFrom connects to addr from an address of the loopback network.
func dialFrom(t *testing.T, source, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: hang}
	conn, err := d.Dial("tcp", addr)
	do(t, err)
	t.Cleanup(func() { conn.Close() })
	do(t, conn.SetDeadline(time.Now().Add(hang)))
	return conn
}

// seen is what an upstream that tells whom it sees answers to a client that comes from there.
func seen(t *testing.T, source, addr string, secure *tls.Config) string {
	t.Helper()
	conn := dialFrom(t, source, addr)
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	defer conn.Close()
	_, err := io.WriteString(conn, Request("GET", "/", "x.test", "", "Connection: close"))
	do(t, err)
	all, err := io.ReadAll(conn)
	do(t, err)
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return strings.TrimSpace(body)
}

// believing is a listener whose connections begin with a PROXY header when they come from the proxies.
func believing(name, addr, more string) string {
	return fmt.Sprintf("[listeners.%s]\naddress = %q\nproxy_protocol = [\"127.0.0.1\"]\n%s\n", name, addr, more)
}

const forwardedTo = `location / { return 200 "$http_x_forwarded_for $http_x_forwarded_port\n"; }`

// HAProxy in front of us tells who the client is, in each version, also with a checksum and ahead of TLS; its checks
// are nobody's.
func TestPROXYFromHAProxy(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		ca, up := NewAuthority(t, "ca"), Nginx(t, forwardedTo)
		plain, secure, at := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		id := ca.Issue([]string{"x.test"})
		p := Start(t, fmt.Sprintf("[admin]\naddress = %q\n", at)+believing("plain", plain, "")+
			believing("secure", secure, fmt.Sprintf("[listeners.secure.tls]\ncertificates = [{ cert = %q, key = %q }]",
				id.Cert, id.Key))+
			fmt.Sprintf("[routes.all]\nservice = \"up\"\n[services.up]\nendpoints = [%q]\n", up.URL()),
			"--engine", engine)
		binary, checksum, over := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		front := func(name, bind, server string) string {
			return fmt.Sprintf("listen %s\n\tmode tcp\n\tbind %s\n\tserver s %s\n", name, bind, server)
		}
		ha := HAProxy(t, "\tmode tcp\n\tdefault_backend text\nbackend text\n\tmode tcp\n\tserver s "+
			plain+" send-proxy\n"+
			front("binary", binary, plain+" send-proxy-v2")+
			front("checksum", checksum, plain+" send-proxy-v2 proxy-v2-options crc32c,unique-id")+
			front("over", over, secure+" send-proxy-v2")+
			front("checked", FreeAddr(t, "127.0.0.1"), plain+" send-proxy-v2 check check-send-proxy inter 50ms"))
		for what, addr := range map[string]string{
			"text": ha.Addr, "binary": binary, "checksum": checksum, "over": over,
		} {
			var c *tls.Config
			if what == "over" {
				c = &tls.Config{ServerName: "x.test", RootCAs: ca.Pool}
			}
			_, port, _ := net.SplitHostPort(addr)
			if got := seen(t, distant, addr, c); got != distant+" "+port {
				t.Errorf("%s: the upstream sees %q, want %q", what, got, distant+" "+port)
			}
		}
		_, port, _ := net.SplitHostPort(plain)
		if got := seen(t, distant, plain, nil); got != distant+" "+port {
			t.Errorf("without a proxy: the upstream sees %q", got)
		}
		waitMetric(t, at, `uringproxy_proxy_headers_received_total{version="2",result="local"}`)
		p.Stop()
	})
}

// waitMetric waits until a counter is not 0 any more.
func waitMetric(t *testing.T, at, name string) {
	t.Helper()
	for limit := time.Now().Add(hang); ; {
		_, text := askAdmin(t, at, "/metrics")
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, name+" "); ok && strings.TrimSpace(rest) != "0" {
				return
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not count:\n%s", name, grep(text, "proxy_headers", "refused", "detected"))
		}
	}
}

// grep is the lines of text in which one of the words is.
func grep(text string, words ...string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.Contains(line, w) && !strings.HasPrefix(line, "#") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// curl begins connections with a header too.
func TestPROXYFromCurl(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		ca, up := NewAuthority(t, "ca"), Nginx(t, forwardedTo)
		addr := FreeAddr(t, "127.0.0.1")
		_, port, _ := net.SplitHostPort(addr)
		id := ca.Issue([]string{"x.test"})
		p := Start(t, believing("auto", addr, fmt.Sprintf(
			"protocol = \"auto\"\n[listeners.auto.tls]\ncertificates = [{ cert = %q, key = %q }]", id.Cert, id.Key))+
			fmt.Sprintf("[routes.all]\nservice = \"up\"\n[services.up]\nendpoints = [%q]\n", up.URL()),
			"--engine", engine)
		for _, scheme := range []string{"http", "https"} {
			out, err := exec.Command(Tool(t, "curl"), "-sS", "--haproxy-protocol", "--cacert", ca.File, "--resolve",
				"x.test:"+port+":127.0.0.1", scheme+"://x.test:"+port+"/").CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "127.0.0.1 "+port {
				t.Errorf("%s: %s%v", scheme, out, err)
			}
			err = exec.Command(Tool(t, "curl"), "-sS", "--cacert", ca.File, "--resolve", "x.test:"+port+":127.0.0.1",
				scheme+"://x.test:"+port+"/").Run()
			if err == nil {
				t.Errorf("%s: a connection without a header is served", scheme)
			}
		}
		p.Stop()
	})
}

// TLS is passed on to nginx by its server name, with a header of version 2: nginx has the certificate, and knows and
// logs who the client is; also when we have been told ourselves.
func TestPROXYToNginx(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		ca, behind := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		id := ca.Issue([]string{"x.test"})
		up := Nginx(t, fmt.Sprintf(`listen %s ssl proxy_protocol; ssl_certificate %s; ssl_certificate_key %s;
			set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; access_log access.log combined;
			location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_port $ssl_server_name\n"; }`,
			behind, id.Cert, id.Key))
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, believing("tcp", addr, "protocol = \"tcp\"")+
			"[tcp_routes.x]\nsni = \"x.test\"\nservice = \"x\"\n"+
			fmt.Sprintf("[services.x]\nendpoints = [\"tcp://%s\"]\nproxy_protocol = \"v2\"\n", behind),
			"--engine", engine)
		ha := HAProxy(t, "\tmode tcp\n\tdefault_backend b\nbackend b\n\tmode tcp\n\tserver s "+addr+" send-proxy-v2\n")
		for what, through := range map[string]string{"directly": addr, "through HAProxy": ha.Addr} {
			_, port, _ := net.SplitHostPort(through)
			want := distant + " " + port + " x.test"
			if got := seen(t, distant, through, &tls.Config{ServerName: "x.test", RootCAs: ca.Pool}); got != want {
				t.Errorf("%s: nginx sees %q, want %q", what, got, want)
			}
		}
		log, err := os.ReadFile(filepath.Join(up.Dir, "access.log"))
		do(t, err)
		if n := strings.Count(string(log), distant+" - - ["); n != 2 {
			t.Errorf("nginx logs %s", log)
		}
		p.Stop()
	})
}

// What a connection must not begin with is closed in time, and counted.
func TestFirstBytesRefused(t *testing.T) {
	const line = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"
	Engines(t, func(t *testing.T, engine string) {
		addr, at := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		up := Nginx(t, forwardedTo)
		p := Start(t, fmt.Sprintf("[timeouts]\ndetect = \"200ms\"\n[admin]\naddress = %q\n", at)+
			believing("tcp", addr, "protocol = \"tcp\"")+"[tcp_routes.x]\nsni = \"x.test\"\nservice = \"x\"\n"+
			fmt.Sprintf("[services.x]\nendpoints = [\"tcp://%s\"]\n", up.Addr), "--engine", engine)
		for _, tt := range []struct{ said, counter string }{
			{"", `uringproxy_connections_refused_total{reason="timeout_proxy_header"}`},
			{line[:20], `uringproxy_proxy_headers_received_total{version="1",result="late"}`},
			{"GET / HTTP/1.1\r\n", `uringproxy_connections_refused_total{reason="no_proxy_header"}`},
			{strings.Replace(line, "1000", "x", 1), `uringproxy_connections_refused_total{reason="bad_proxy_header"}`},
			{line + "\x16\x03\x01\x02\x00\x01", `uringproxy_connections_refused_total{reason="timeout_detect"}`},
			{line + "\x16\x03\x01\x40\x00\x01\x00\xff\xff", `uringproxy_tls_hellos_refused_total{reason="` +
				`ClientHello of more than 16384 bytes"}`},
			{line + "something else", `uringproxy_connections_refused_total{reason="no_route"}`},
			{line, `uringproxy_connections_refused_total{reason="no_route"}`},
		} {
			conn := dialFrom(t, "127.0.0.1", addr)
			_, err := io.WriteString(conn, tt.said)
			do(t, err)
			if b, err := io.ReadAll(conn); err == nil && len(b) > 0 && b[0] != 21 || isTimeout(err) {
				t.Errorf("%q: %q, %v", tt.said, b, err)
			}
			waitMetric(t, at, tt.counter)
		}
		p.Stop()
	})
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}
