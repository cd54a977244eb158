package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrStopped is what New and Run return when Config.Stop was closed.
var ErrStopped = errors.New("stopped")

const (
	// mostServices is how many services can be told from one another, and mostPipelined how many requests may be sent
	// ahead of the answers.
	mostServices  = 64
	mostPipelined = 1024
	// spareDescriptors are those that are no connections, or are not closed yet.
	spareDescriptors = 64
)

// Config says whom to load, and with what.
type Config struct {
	Addr     netip.AddrPort `json:"addr"` // IPv4
	Host     string         `json:"host"` // Host field of every request
	Conns    int            `json:"conns"`
	Streams  int            `json:"streams"`  // connections that ask for StreamPath and stay with the answer
	Services []string       `json:"services"` // all that may ever answer
	Wire     Wire           `json:"wire"`     // what is spoken
	// Message is how many bytes a message has that is to come back, at least StampBytes; see Wire.
	Message int `json:"message"`
	// Duplex has streams of Bulk carry as much to the upstream as comes from there.
	Duplex bool `json:"duplex"`

	Method string   `json:"method"` // "" is GET
	Path   string   `json:"path"`   // "" is AnswerPath
	Header []string `json:"header"` // further field lines of every request: "Accept: */*"
	// Upload is how many bytes of Pattern the body of a request has; the answer must be that of AppendUploaded.
	Upload int64 `json:"upload"`
	// Download is how many bytes of Pattern an answer must have. 0: it has Body of one of the services.
	Download int64 `json:"download"`
	// PerRequest has every request open a connection of its own, of which Conns may be open at once.
	PerRequest bool `json:"per_request"`
	Pipeline   int  `json:"pipeline"` // requests that are sent before an answer is awaited; 0 is 1
	// Idle is how many more connections make one request each when New is called, and then none.
	Idle int `json:"idle"`
	// HalfOpen is how many more connections send the first half of a ClientHello and then nothing. One that the peer
	// closes is opened again.
	HalfOpen int  `json:"half_open"`
	TLS      *TLS `json:"tls"` // nil: nothing is encrypted
	// Stop ends New and Run with ErrStopped when it is closed.
	Stop <-chan struct{} `json:"-"`
}

// complete puts defaults in, and refuses what cannot be sent or checked.
func (c *Config) complete() error {
	if c.Method == "" {
		c.Method = "GET"
	}
	if c.Path == "" {
		c.Path = AnswerPath
	}
	c.Pipeline = max(c.Pipeline, 1)
	switch {
	case !c.Addr.Addr().Is4():
		return fmt.Errorf("load %v: not an IPv4 address", c.Addr)
	case c.Conns < 0 || c.Streams < 0 || c.Idle < 0 || c.Upload < 0 || c.Download < 0 ||
		c.HalfOpen < 0:
		return errors.New("load: found a negative number, expected counts of connections and bytes")
	case len(c.Services) > mostServices:
		return fmt.Errorf("load: found %d services, expected at most %d", len(c.Services), mostServices)
	case c.Pipeline > mostPipelined:
		return fmt.Errorf("load: found %d pipelined requests, expected at most %d", c.Pipeline, mostPipelined)
	case c.Upload > 0 && (c.Download > 0 || c.Pipeline > 1):
		return errors.New("load: found an upload with a download or pipelining, expected one of them")
	case c.HalfOpen > 0 && c.TLS == nil:
		return errors.New("load: found half-open connections without TLS, expected both")
	case c.PerRequest && c.Pipeline > 1:
		return errors.New("load: found pipelining with a connection for each request, expected one of them")
	case c.Method == "HEAD" || c.Method == "CONNECT":
		return fmt.Errorf("load: found method %s, expected one whose answer has a body to check", c.Method)
	case strings.ContainsAny(c.Method, " \r\n") || strings.ContainsAny(c.Path, " \r\n") || c.Path[0] != '/':
		return fmt.Errorf("load: found request %q, expected a method and an absolute path", c.Method+" "+c.Path)
	}
	if err := c.checkWire(); err != nil {
		return err
	}
	for _, line := range append([]string{"Host: " + c.Host}, c.Header...) {
		if name, _, found := strings.Cut(line, ":"); !found || name == "" || strings.ContainsAny(line, "\r\n") {
			return fmt.Errorf("load: found header %q, expected NAME: VALUE", line)
		}
	}
	return c.checkDescriptors()
}

// all is the number of all connections.
func (c *Config) all() int { return c.Conns + c.Streams + c.HalfOpen + c.Idle }

// checkDescriptors refuses more connections than the process may have.
func (c *Config) checkDescriptors() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read limit of descriptors: %w", err)
	}
	if need := uint64(c.all() + spareDescriptors); need > limit.Cur {
		return fmt.Errorf("load: %d connections need %d descriptors, and the process may have %d: raise it (ulimit -n)",
			c.all(), need, limit.Cur)
	}
	return nil
}

// head is the head of a request.
func (c *Config) head(method, path string, length int64, closing bool) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, c.Host)
	if length > 0 || method == "POST" || method == "PUT" {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", length)
	}
	if closing {
		b = append(b, "Connection: close\r\n"...)
	}
	for _, line := range c.Header {
		b = append(append(b, line...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// message is a text to be sent: one or more requests without bodies, or the head of one with.
type message struct {
	text []byte // all of it, or with a large body a first part
	head int    // the head's size; one request is head+body
	body int64
}

// bodyPart is how much of a large body is kept to send it from. It is larger than what a socket takes at once.
const bodyPart = 1<<20 + PatternPeriod

func (c *Config) message(closing bool) message {
	head := c.head(c.Method, c.Path, c.Upload, closing)
	text := append(bytes.Repeat(head, c.Pipeline), Pattern(int(min(c.Upload, bodyPart)))...)
	return message{text, len(head), c.Upload}
}

// part is what follows after the first sent of size bytes. It is not empty before the end.
func (m *message) part(sent, size int64) []byte {
	at := sent
	if sent >= int64(len(m.text)) {
		at = int64(m.head) + (sent-int64(m.head))%PatternPeriod
	}
	return m.text[at:min(int64(len(m.text)), at+size-sent)]
}
