package inspect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/routing/urlpath"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// Question is a request to be explained, in the words of a user, or a connection alone.
type Question struct {
	// URL is "http://example.com:8080/path?query", "example.com/path" or "/path". It may be empty where TLS is given, or
	// Listener or Port is that of one for connections or datagrams: then it is about what becomes of these.
	URL      string
	Method   string   // empty: GET
	Fields   []string // as "Name: value"; one named Host goes before the host of the URL
	ClientIP string   // empty: not known, and in no network
	Port     int      // that the client has connected to; 0: the listener's
	Listener string   // its name; empty: the one that the URL or the port leads to
	TLS      TLS

	Routes []string // those to explain beside the winner; none: those that are nearest
	All    bool     // explain all routes
	Masked bool     // show no values that rules ask a header or a query for
}

// asked is a question as it was understood.
type asked struct {
	routing.Request
	scheme   string // "" when the URL had none
	port     int    // 0 when the URL had none
	name     string // the host in canonical form
	written  string // the host as it was written, without port
	received string // the path as it was written
	encoded  []byte // the path as a client sends it
	refused  urlpath.Fault
	hello    *Hello               // what there is to say of the ClientHello; nil when nothing is given of it
	info     *tls.ClientHelloInfo // the same for choosing a certificate; nil without a whole hello
	code     hello.Code           // why it is refused, if it is
	notes    []string
}

// ask reads a question. The error says what of it makes no sense.
func ask(c *config.Config, q *Question) (*asked, error) {
	a := &asked{}
	a.Method = []byte(q.Method)
	if q.Method == "" {
		a.Method = []byte("GET")
	}
	if strings.ContainsFunc(q.Method, notToken) {
		return nil, fmt.Errorf("read method: %q cannot be one", q.Method)
	}
	if q.Port < 0 || q.Port > 65535 {
		return nil, fmt.Errorf("read port: %d is none", q.Port)
	}
	if q.URL != "" || !q.TLS.Given() && !bare(c, q) {
		if err := a.url(q.URL, c.Paths.Policy); err != nil {
			return nil, fmt.Errorf("read URL %q: %w", q.URL, err)
		}
	}
	if err := a.fields(q.Fields); err != nil {
		return nil, err
	}
	if q.ClientIP != "" {
		addr, err := netip.ParseAddr(q.ClientIP)
		if err != nil {
			return nil, fmt.Errorf("read client address: %q is none, write for example 10.0.0.1", q.ClientIP)
		}
		a.Client = addr.Unmap().WithZone("")
	}
	if q.TLS.Given() {
		return a, a.offer(&q.TLS)
	}
	return a, nil
}

// bare reports whether a question needs no URL, being about a listener on which there is more than requests.
func bare(c *config.Config, q *Question) bool {
	return slices.ContainsFunc(c.Listeners, func(l *config.Listener) bool {
		return l.Protocol != plan.HTTP && (l.Name == q.Listener || q.Listener == "" && leads(q.Port, l))
	})
}

// leads reports whether a port is that of a listener.
func leads(port int, l *config.Listener) bool {
	return port > 0 && l.Unix == "" && int(l.Addr.Port()) == port
}

// notToken reports what a method or the name of a field cannot have (RFC 9110, section 5.6.2).
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// url takes a URL apart, and brings its path into the form in which it is matched.
func (a *asked) url(url string, policy urlpath.Policy) error {
	if url == "" {
		return errors.New("it is empty; write / for the root")
	}
	rest, fragment, cut := strings.Cut(url, "#")
	if cut {
		a.note("the fragment #%s is left out: clients do not send it", fragment)
	}
	if scheme, more, ok := strings.Cut(rest, "://"); ok && !strings.ContainsAny(scheme, "/?") {
		a.scheme, rest = strings.ToLower(scheme), more
		if a.scheme != "http" && a.scheme != "https" {
			return fmt.Errorf("the scheme is %q, and not http or https", scheme)
		}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	if authority == "*" {
		authority = ""
	}
	if err := a.authority(authority); err != nil {
		return err
	}
	path, query, _ := strings.Cut(rest, "?")
	if path == "" {
		path = "/"
	}
	a.received, a.Query = path, encode(query)
	a.encoded = encode(path)
	a.Path, a.refused = urlpath.Normalize(nil, a.encoded, policy)
	return nil
}

func (a *asked) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// encode percent-encodes what clients do not send otherwise (RFC 3986, section 2.1).
func encode(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			out = fmt.Appendf(out, "%%%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// authority reads a host and a port.
func (a *asked) authority(s string) error {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return errors.New("there is a user name; requests have it in an Authorization field")
	}
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && strings.IndexByte(s[i:], ']') < 0 {
		port, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || port == 0 {
			return fmt.Errorf("%q is no port", s[i+1:])
		}
		host, a.port = s[:i], int(port)
	}
	if host == "" {
		return nil
	}
	e, _, err := rule.Match(rule.Host, "", host)
	if err != nil || strings.HasPrefix(host, "*") {
		return fmt.Errorf("%q is no host name: %w", host, err)
	}
	a.name, a.written = e.Pred.Values[0], host
	if host[0] == '[' {
		a.name = strings.ToLower(host) // addresses are compared as they are written
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x7f }) {
		s = a.name + s[len(host):]
	}
	a.Host = []byte(s)
	return nil
}

// fields reads header fields, of which Host names the host.
func (a *asked) fields(list []string) error {
	hosts := 0
	for _, text := range list {
		name, value, ok := strings.Cut(text, ":")
		if value = strings.Trim(value, " \t"); !ok || name == "" || strings.ContainsFunc(name, notToken) ||
			strings.ContainsAny(value, "\r\n\x00") {
			return fmt.Errorf("read header field %q: write it as 'Name: value'", text)
		}
		if strings.EqualFold(name, "Host") {
			if hosts++; hosts > 1 {
				return fmt.Errorf("read header field %q: a request has one Host", text)
			}
			port := a.port
			a.Host, a.port = nil, 0
			if err := a.authority(value); err != nil {
				return fmt.Errorf("read header field %q: %w", text, err)
			}
			a.port = port // clients connect to where the URL leads
			continue
		}
		a.Fields = append(a.Fields, routing.Field{Name: []byte(name), Value: []byte(value)})
	}
	if a.Host != nil {
		a.Fields = append([]routing.Field{{Name: []byte("Host"), Value: a.Host}}, a.Fields...)
	}
	return nil
}
