package origin

import (
	"bytes"
	"errors"
	"strconv"
)

// request is what we need to know of the head of a request.
type request struct {
	size    int    // bytes of the head, with the empty line
	method  []byte // a part of the head, as are target and fields
	target  []byte
	fields  []byte // the field lines
	length  int64  // of the body; 0: none
	chunked bool
	closing bool // the connection is to end with the answer
}

var (
	errRequest = errors.New("no HTTP/1 request")
	emptyLine  = []byte("\r\n\r\n")
)

// parseRequest reads the head of a request. It reports whether b has all of it.
func parseRequest(b []byte) (r request, whole bool, err error) {
	end := bytes.Index(b, emptyLine)
	if end < 0 {
		return r, false, nil
	}
	line, rest := cutLine(b[:end+2])
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first <= 0 || first == last || !bytes.HasPrefix(line[last+1:], []byte("HTTP/1.")) {
		return r, false, errRequest
	}
	r = request{size: end + 4, method: line[:first], target: line[first+1 : last], fields: rest}
	r.closing = line[len(line)-1] == '0'
	for len(rest) > 0 {
		if line, rest = cutLine(rest); !r.field(line) {
			return r, false, errRequest
		}
	}
	return r, true, nil
}

// cutLine cuts the first line off b, which ends with one.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	return b[:max(i-1, 0)], b[i+1:]
}

// field takes in a field line; most are told from those that matter by their first letter. It reports whether the value
// is one that we can follow.
func (r *request) field(line []byte) bool {
	if len(line) == 0 || line[0]|0x20 != 'c' && line[0]|0x20 != 't' {
		return true
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
		n, err := strconv.ParseInt(string(value), 10, 64)
		r.length = n
		return err == nil && n >= 0
	case len(name) == 17 && bytes.EqualFold(name, []byte("transfer-encoding")):
		r.chunked = true
		return bytes.EqualFold(value, []byte("chunked"))
	case len(name) == 10 && bytes.EqualFold(name, []byte("connection")):
		kept := bytes.EqualFold(value, []byte("keep-alive"))
		r.closing = r.closing && !kept || bytes.EqualFold(value, []byte("close"))
	}
	return true
}

// lastSegment is the part of a target after its last slash, without a query.
func lastSegment(target []byte) []byte {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	return target[bytes.LastIndexByte(target, '/')+1:]
}

// longest is the largest body that can be asked for.
const longest = 1 << 40

// bodySize is how many bytes the last segment of a target asks for: a number, with k or m for KiB or MiB, or "small"
// for 100. It reports whether it is one of these.
func bodySize(segment []byte) (int64, bool) {
	if string(segment) == "small" {
		return 100, true
	}
	digits, unit := len(segment), int64(1)
	if digits > 1 {
		switch segment[digits-1] {
		case 'k':
			digits, unit = digits-1, 1<<10
		case 'm':
			digits, unit = digits-1, 1<<20
		}
	}
	n := int64(0)
	for _, x := range segment[:digits] {
		if x < '0' || x > '9' || n > longest {
			return 0, false
		}
		n = 10*n + int64(x-'0')
	}
	return n * unit, digits > 0 && n <= longest/unit
}
