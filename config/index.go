package config

import "strings"

// place says where a key stands in the file: byte offsets of its name and of its value. A table made by a header has
// the header's last part for both.
type place struct{ key, value int }

// index maps paths to places. A path is written as users read it: "services.api.endpoints[0].url", with parts that are
// not bare keys in quotes. The TOML library reports no positions of its own for keys and values, hence this.
type index map[string]place

// find returns the place of path or, should it be unknown, of the nearest table around it, and how long that one's path
// is; 0 at the top.
func (x index) find(path string) (p place, n int) {
	for path != "" {
		if p, ok := x[path]; ok {
			return p, len(path)
		}
		path = parent(path)
	}
	return place{}, 0
}

// Path is the path of a key as Fault.Key has it.
func Path(parts ...string) string {
	path := ""
	for _, p := range parts {
		path = child(path, p)
	}
	return path
}

// child is the path of key in the table at path.
func child(path, key string) string {
	if !bare(key) {
		key = quoteKey(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// parent cuts the last part of path.
func parent(path string) string {
	quoted := false
	for i := len(path) - 1; i > 0; i-- {
		switch c := path[i]; {
		case c == '"' && !escaped(path, i):
			quoted = !quoted
		case (c == '.' || c == '[') && !quoted:
			return path[:i]
		}
	}
	return ""
}

func escaped(s string, i int) bool {
	before := s[:i]
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

func bare(key string) bool {
	for i := range len(key) {
		if !bareByte(key[i]) {
			return false
		}
	}
	return key != ""
}

func bareByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
