package proxy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// simMessage is an HTTP message as a test reads it: plainly, and with no code of the proxy's.
type simMessage struct {
	line   string
	fields map[string]string // by lower-case name; of repeated ones the last
	body   []byte
}

// status is a response's.
func (m *simMessage) status() int {
	if len(m.line) < 12 || !strings.HasPrefix(m.line, "HTTP/1.") {
		return 0
	}
	n, err := strconv.Atoi(m.line[9:12])
	if err != nil {
		return 0
	}
	return n
}

// says reports whether a list field has the element.
func (m *simMessage) says(field, element string) bool {
	for _, e := range strings.Split(m.fields[field], ",") {
		if strings.EqualFold(strings.TrimSpace(e), element) {
			return true
		}
	}
	return false
}

// simReader reads a stream of messages, however it is split.
type simReader struct {
	noBody func(m *simMessage) bool // responses: those without a body whatever their fields say
	buf    []byte
	msg    *simMessage // whose head is complete and whose body is not
	step   simStep
	left   int
}

type simStep uint8

const (
	simHead simStep = iota
	simLength
	simChunkSize
	simChunkData
	simChunkEnd
	simTrailer
	simUntilEnd
)

// empty reports whether the stream is between two messages.
func (r *simReader) empty() bool { return r.msg == nil && len(r.buf) == 0 }

// cut takes a line off the input.
func (r *simReader) cut() (string, bool) {
	i := bytes.Index(r.buf, []byte("\r\n"))
	if i < 0 {
		return "", false
	}
	line := string(r.buf[:i])
	r.buf = r.buf[i+2:]
	return line, true
}

// next is the next complete message; nil when more input is needed.
func (r *simReader) next() (*simMessage, error) {
	for {
		switch r.step {
		case simHead:
			i := bytes.Index(r.buf, []byte("\r\n\r\n"))
			if i < 0 {
				return nil, nil
			}
			head := string(r.buf[:i])
			r.buf = r.buf[i+4:]
			if err := r.head(head); err != nil {
				return nil, err
			}
			if r.step == simHead || r.step == simLength && r.left == 0 {
				return r.complete(), nil
			}
		case simLength, simChunkData:
			n := min(r.left, len(r.buf))
			r.msg.body = append(r.msg.body, r.buf[:n]...)
			r.buf = r.buf[n:]
			if r.left -= n; r.left > 0 {
				return nil, nil
			}
			if r.step == simLength {
				return r.complete(), nil
			}
			r.step = simChunkEnd
		case simUntilEnd:
			r.msg.body = append(r.msg.body, r.buf...)
			r.buf = nil
			return nil, nil
		default:
			line, ok := r.cut()
			if !ok {
				return nil, nil
			}
			done, err := r.chunkLine(line)
			if err != nil || done {
				return r.complete(), err
			}
		}
	}
}

func (r *simReader) complete() *simMessage {
	m := r.msg
	r.msg, r.step = nil, simHead
	return m
}

// chunkLine reads a line of a chunked body's framing, and reports whether it was the last.
func (r *simReader) chunkLine(line string) (bool, error) {
	switch r.step {
	case simChunkEnd:
		if line != "" {
			return false, fmt.Errorf("%q behind a chunk", line)
		}
		r.step = simChunkSize
	case simChunkSize:
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return false, fmt.Errorf("chunk size %q", line)
		}
		r.left, r.step = int(n), simChunkData
		if n == 0 {
			r.step = simTrailer
		}
	case simTrailer:
		return line == "", nil
	}
	return false, nil
}

// head reads a head and finds out how the body ends.
func (r *simReader) head(head string) error {
	lines := strings.Split(head, "\r\n")
	m := &simMessage{line: lines[0], fields: map[string]string{}}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok || strings.ContainsAny(line, "\r\n\x00\xcc") {
			return fmt.Errorf("field line %q behind %q", line, lines[0])
		}
		m.fields[strings.ToLower(name)] = value
	}
	r.msg = m
	length, sized := m.fields["content-length"]
	switch {
	case r.noBody != nil && r.noBody(m):
		r.step = simHead
	case m.says("transfer-encoding", "chunked"):
		r.step = simChunkSize
		if sized {
			return fmt.Errorf("%q has a length and chunks", lines[0])
		}
	case sized:
		n, err := strconv.ParseUint(length, 10, 31)
		if err != nil {
			return fmt.Errorf("length %q of %q", length, lines[0])
		}
		r.left, r.step = int(n), simLength
	case r.noBody != nil:
		r.step = simUntilEnd
	}
	return nil
}

// ended is the message that the end of the stream completes; nil when there is none.
func (r *simReader) ended() *simMessage {
	if r.step != simUntilEnd {
		return nil
	}
	return r.complete()
}
