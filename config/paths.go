package config

import (
	"path/filepath"
	"strings"
)

// file reads the path of a file or a directory. A relative one counts from the file that names it.
func (t *table) file(key, says string, to *string) {
	path := ""
	t.text(key, says, "a file's path", &path)
	if path != "" {
		*to = t.resolve(t.child(key), path)
	}
}

// files reads a list of them. ok tells that it is there.
func (t *table) files(key, says string) (list []string, ok bool) {
	_, ok = t.m[key]
	t.texts(key, says, "a file's path", "a file, or no such key", func(path, s string) {
		if s == "" {
			t.d.at(path, "no path", "a file's path", "")
			return
		}
		list = append(list, t.resolve(path, s))
	})
	return list, ok
}

// resolve makes what the process opens of a path that is written at key.
func (t *table) resolve(key, path string) string {
	if strings.IndexByte(path, 0) >= 0 {
		t.d.at(key, quote(path), "a file's path", "")
		return ""
	}
	if path == "" || filepath.IsAbs(path) || len(t.d.in) == 0 {
		return path
	}
	return filepath.Join(filepath.Dir(t.d.in[0].doc.src.name), path)
}
