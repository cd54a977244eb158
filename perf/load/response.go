package load

import (
	"bytes"
	"errors"
	"strconv"
)

// head is what we need to know of the head of a response.
type head struct {
	size    int // bytes of the head, with the empty line
	status  int
	length  int64 // of the body; -1: chunked
	closing bool

	date, dateEnd int // where the value of its Date is; 0: nowhere
}

var errFraming = errors.New("a response that is neither of known length nor chunked, or no HTTP/1.1 at all")

// parseHead reads the head of a response. It reports whether b has all of it.
func parseHead(b []byte) (h head, whole bool, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return h, false, nil
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if len(line) < 12 || string(line[:9]) != "HTTP/1.1 " {
		return h, false, errFraming
	}
	h = head{size: end + 4, length: -2}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, false, errFraming
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
			if h.length, err = strconv.ParseInt(string(value), 10, 64); err != nil || h.length < 0 {
				return h, false, errFraming
			}
		case len(name) == 17 && bytes.EqualFold(name, []byte("transfer-encoding")):
			h.length = -1
		case len(name) == 4 && bytes.EqualFold(name, []byte("date")):
			h.dateEnd = end - len(rest) - len("\r\n")*min(len(rest), 1)
			h.date = h.dateEnd - len(value)
		case len(name) == 10 && bytes.EqualFold(name, []byte("connection")):
			h.closing = bytes.EqualFold(value, []byte("close"))
		}
	}
	if h.status < 200 || h.status == 204 || h.status == 304 {
		h.length = 0 // RFC 9112, section 6.3
	}
	if h.length == -2 {
		return h, false, errFraming
	}
	return h, true, nil
}

// heads parses heads that mostly are the last one again, but for the date.
type heads struct {
	text []byte
	head head
}

// parse is parseHead.
func (k *heads) parse(b []byte) (h head, whole bool, err error) {
	if from, to, n := k.head.date, k.head.dateEnd, len(k.text); n > 0 && len(b) >= n &&
		bytes.Equal(b[:from], k.text[:from]) && bytes.Equal(b[to:n], k.text[to:]) &&
		bytes.IndexByte(b[from:to], '\n') < 0 {
		return k.head, true, nil
	}
	h, whole, err = parseHead(b)
	if whole && err == nil {
		k.text, k.head = append(k.text[:0], b[:h.size]...), h
	}
	return h, whole, err
}
