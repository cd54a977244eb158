package hello

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// capture is what a program sent to a listener on loopback: a file of testdata has lines "client: program and version",
// then facts as describe writes them, then "--" and the bytes in hexadecimal digits.
type capture struct {
	facts  string
	stream []byte
}

func captures(t testing.TB) map[string]capture {
	t.Helper()
	files, err := filepath.Glob("testdata/*.hello")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	all := map[string]capture{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		facts, digits, _ := strings.Cut(string(b), "--\n")
		_, facts, _ = strings.Cut(facts, "\n")
		s, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[filepath.Base(name)] = capture{facts, s}
	}
	return all
}

// describe is what a hello says, in lines.
func describe(h *Hello, message []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\n", h.SNI())
	fmt.Fprintf(&b, "protocols: %s\n", strings.Join(protocolsOf(h, message), " "))
	fmt.Fprintf(&b, "version: %04x of %04x\n", h.Version, numbersOf(h.Versions, message))
	fmt.Fprintf(&b, "suites: %04x\n", numbersOf(h.Suites, message))
	fmt.Fprintf(&b, "groups: %04x\n", numbersOf(h.Groups, message))
	fmt.Fprintf(&b, "schemes: %04x\n", numbersOf(h.Schemes, message))
	fmt.Fprintf(&b, "tickets: %v\nech: %v\nja4: %s\n", h.Tickets, h.ECH == ECHOuter, ja4(h, message))
	return b.String()
}

// TestCaptures reads what programs have sent, as a whole and in records of every size.
func TestCaptures(t *testing.T) {
	for name, c := range captures(t) {
		h, message := agree(t, c.stream)
		if got := describe(&h, message); got != c.facts {
			t.Errorf("%s: got\n%swant\n%s", name, got, c.facts)
		}
		for n := 1; n <= len(message); n++ {
			if again, _ := mustRead(t, records(message, n)); again != h {
				t.Fatalf("%s: another result in records of %d bytes", name, n)
			}
		}
	}
}

// TestPrograms reads what the programs of this machine send.
func TestPrograms(t *testing.T) {
	address, hellos := listen(t, serverConfig(t))
	_, port, _ := strings.Cut(address, ":")
	for _, c := range []struct {
		command   string
		name      string
		protocols string
		version   uint16
	}{
		{"openssl s_client -connect ADDRESS -servername Example.com -alpn h2,http/1.1", "example.com", "h2 http/1.1",
			VersionTLS13},
		{"openssl s_client -connect ADDRESS -noservername -tls1_2", "", "", VersionTLS12},
		{"openssl s_client -connect ADDRESS -servername a.b -groups P-521:X25519", "a.b", "", VersionTLS13},
		{"openssl s_client -connect ADDRESS -servername a.b -max_send_frag 512", "a.b", "", VersionTLS13},
		{"curl -sk --http1.1 --connect-to example.com:443:127.0.0.1:PORT https://example.com/", "example.com", "http/1.1",
			VersionTLS13},
		{"curl -sk --tls-max 1.2 https://ADDRESS/", "", "h2 http/1.1", VersionTLS12},
	} {
		words := strings.Fields(strings.NewReplacer("ADDRESS", address, "PORT", port).Replace(c.command))
		if _, err := exec.LookPath(words[0]); err != nil {
			t.Logf("%s is not here", words[0])
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_ = exec.CommandContext(ctx, words[0], words[1:]...).Run() // its status is of the handshake's end
		cancel()
		s := <-hellos
		h, message := agree(t, s)
		if got := strings.Join(protocolsOf(&h, message), " "); string(h.SNI()) != c.name || got != c.protocols ||
			h.Version != c.version {
			t.Errorf("%s: name %q, protocols %q, version %x", c.command, h.SNI(), got, h.Version)
		}
	}
}

// seeds are streams to begin fuzzing with.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	resumed := []ext{{extSessionTicket, []byte("ticket")}, sni("127.0.0.1"), {id: extEarlyData}, psk(2, 2)}
	all := [][]byte{
		stream(parts{}.message()), stream(chrome().message()), stream(published().message()),
		stream(parts{exts: resumed}.message()), stream(parts{exts: []ext{{extEncryptedHello, []byte{1}}}}.message()),
		records(chrome().message(), 100), []byte("GET / HTTP/1.1\r\n"), []byte("PROXY TCP4 "),
		{0x80, 46, 1, 3, 1}, {21, 3, 1},
	}
	for _, c := range captures(t) {
		all = append(all, c.stream)
	}
	return all
}
