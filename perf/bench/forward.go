package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
)

// Fields of a request behind a proxy: those that all are configured to add, and those that come from the client or say
// nothing about the proxy's work.
var (
	addedFields = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"}
	plainFields = []string{"Host", "Connection"}
)

const (
	askLimit  = 5 * time.Second
	mostAsked = 64 << 10 // bytes of an answer
)

// dialer opens connections: net.Dialer, or tls.Dialer.
type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// dialer is for connections to the proxy of a site.
func (b *bench) dialer(s *site) dialer {
	if s.TLS {
		return &tls.Dialer{Config: b.certificate.trust()}
	}
	return new(net.Dialer)
}

// ask makes a request on a connection of its own, which ends with it.
func ask(ctx context.Context, d dialer, port int, host, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })() // it may be closed already
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostAsked))
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered with %d", r.StatusCode)
	}
	return string(body), err
}

// accepted is how many connections the upstream has accepted so far.
func (b *bench) accepted(ctx context.Context) (int, error) {
	text, err := ask(ctx, new(net.Dialer), b.services[0].Port, loadedHost, load.AcceptedPath)
	n := 0
	if err == nil {
		n, err = strconv.Atoi(text)
	}
	if err != nil {
		return 0, fmt.Errorf("ask upstream for its connections: %w", err)
	}
	return n, nil
}

// forwarding says in words how requests behind the proxy differ from what it was configured to make of them; empty if
// they do not.
func (t *target) forwarding(ctx context.Context, d dialer) string {
	host := t.site.Host()
	if host == "" {
		host = loadedHost
	}
	fields, err := ask(ctx, d, t.site.Port, host, load.FieldsPath)
	if err != nil {
		return fmt.Sprintf("what it forwards could not be verified: %v", err)
	}
	return differing(fields)
}

// differing says which field lines are missing, and which are there that others do not send.
func differing(lines string) string {
	more := map[string]bool{}
	for line := range strings.Lines(lines) {
		name, _, _ := strings.Cut(line, ":")
		more[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	var missing, parts []string
	for _, name := range addedFields {
		if !more[name] {
			missing = append(missing, name)
		}
		delete(more, name)
	}
	for _, name := range plainFields {
		delete(more, name)
	}
	if len(missing) > 0 {
		parts = append(parts, "without "+strings.Join(missing, ", "))
	}
	if len(more) > 0 {
		parts = append(parts, "with "+strings.Join(slices.Sorted(maps.Keys(more)), ", "))
	}
	if len(parts) == 0 {
		return ""
	}
	return "its requests to the upstream are other ones than ours: " + strings.Join(parts, "; ")
}
