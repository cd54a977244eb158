package rule

import (
	"strings"
	"unicode/utf8"

	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// MaxPath bounds a path's canonical form.
const MaxPath = 8192

// canonicalPath checks a path for Path, PathPrefix or PathPrefixRaw and returns its canonical form: normalized as the
// paths of requests are, with characters outside of ASCII and blanks percent-encoded, and a PathPrefix without slashes
// at its end.
func canonicalPath(kind Kind, path string) (string, *Error) {
	if !strings.HasPrefix(path, "/") {
		return "", slashMissing(path)
	}
	if fault := notAPath(kind, path); fault != nil {
		return "", fault
	}
	encoded, fault := encodePath(path)
	if fault != nil {
		return "", fault
	}
	if kind == PathPrefixRaw {
		encoded = append(encoded, 'x') // its last segment goes on: "/." is no dot segment but the beginning of "/.git"
	}
	keep := urlpath.Policy{KeepSlash: true, KeepNUL: true, KeepDoubles: true}
	normal, refused := urlpath.Normalize(nil, encoded, keep)
	if refused != urlpath.OK {
		return "", refuse(0, len(path), "requests with such a path are refused: "+refused.String(), "take it out")
	}
	canonical := string(normal)
	switch kind {
	case PathPrefix:
		canonical = strings.TrimRight(canonical, "/")
	case PathPrefixRaw:
		canonical = strings.TrimSuffix(canonical, "x")
	}
	if len(canonical) > MaxPath {
		return "", refusef(0, len(path), "", "a path has at most %d bytes, this has %d", MaxPath, len(canonical))
	}
	return canonical, nil
}

func slashMissing(path string) *Error {
	switch {
	case path == "":
		return refuse(0, 1, "the path is empty", "write / for the root")
	case strings.Contains(path, "://"):
		return refuse(0, len(path), "only the path, without scheme and host", "write the host with Host")
	case path[0] == '^':
		return refuse(0, 1, "a path begins with a slash", "write PathRegexp for an expression")
	}
	return refuse(0, 1, "a path begins with a slash", "write /"+path)
}

// notAPath finds what people write into a path that it cannot have.
func notAPath(kind Kind, path string) *Error {
	for i, c := range []byte(path) {
		switch c {
		case '?':
			return refuse(i, len(path)-i, "a path ends before its ?", "write the query with Query")
		case '#':
			return refuse(i, len(path)-i, "clients do not send what follows a #", "leave it out")
		case '\\':
			return refuse(i, 1, "no request has a backslash in its path", "write a slash, or %5C")
		case '{':
			return refuse(i, len(path)-i, "a path has no expressions in braces", "write PathRegexp, such as "+
				PathRegexp.example())
		case '*':
			hint := "write PathPrefix or PathRegexp"
			if kind != Path {
				hint = "a prefix fits everything that begins with it; leave the * out"
			}
			return refuse(i, 1, "a path has no wildcards", hint)
		}
	}
	return nil
}

// encodePath percent-encodes what a request's path has in no other form.
func encodePath(path string) ([]byte, *Error) {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == ' ' || c >= utf8.RuneSelf:
			out = append(out, '%', hex[c>>4], hex[c&15])
		case c < ' ' || c == 0x7f:
			return nil, refusef(i, 1, "take it out", "%q cannot be part of a path", c)
		case c == '%' && (i+2 >= len(path) || !hexDigit(path[i+1]) || !hexDigit(path[i+2])):
			return nil, refuse(i, 1, "a % stands before two hexadecimal digits", "write %25 for a percent sign")
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

func hexDigit(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
