package watch

import (
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/uringproxy/uringproxy/config"
)

// places are the directory entries that decide what the paths mean: by directory, a path free of symbolic links, the
// names in it that count.
type places map[string]*entries

// entries are names of one directory.
type entries struct {
	names  map[string]bool
	kind   kind // files of that kind count, also those that are still to come
	itself bool // the directory's own state is a part of it
}

// kind is a set of kinds of files, told by their names.
type kind uint8

const (
	configuration kind = 1 << iota
	material
)

// has reports whether a file of that name in a directory counts.
func (k kind) has(name string) bool {
	return k&configuration != 0 && config.Belongs(name) || k&material != 0 && IsMaterial(name)
}

// IsMaterial reports whether a file of that name in a directory of certificates may be one of them, or a key.
func IsMaterial(name string) bool {
	switch filepath.Ext(name) {
	case ".crt", ".pem", ".key":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

// maxFollowed is how many files of a directory with material are followed and looked at one by one. Where there are
// more, only notifications tell of those that are changed in place; that others came or went shows in the directory's
// own state.
const maxFollowed = 1024

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// find follows paths, and in those that are directories the files of a kind.
func (p places) find(paths []string, k kind) {
	for _, path := range paths {
		end := p.follow(path)
		if st, err := os.Stat(end); err != nil || !st.IsDir() {
			continue
		}
		p.in(end).kind |= k
		files, whole := list(end, k)
		if !whole {
			p.in(end).itself = true
			continue
		}
		for _, name := range files {
			if k.has(name) {
				p.follow(filepath.Join(end, name))
			}
		}
	}
}

// list returns the names in a directory, if they are not too many for their kind. A directory that cannot be read went
// just now, which will be told.
func list(dir string, k kind) (names []string, whole bool) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, true
	}
	defer d.Close()
	limit := -1
	if k == material {
		limit = maxFollowed + 1
	}
	names, _ = d.Readdirnames(limit)
	return names, limit < 0 || len(names) < limit
}

func (p places) in(dir string) *entries {
	e := p[dir]
	if e == nil {
		e = &entries{names: map[string]bool{}}
		p[dir] = e
	}
	return e
}

// follow notes each symbolic link on path's way, and the entry at its end, or the first that does not exist. It returns
// that end, free of links.
func (p places) follow(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path // the working directory is gone: nothing can be watched
	}
	dir, rest := "/", segments(abs)
	for links := 0; len(rest) > 0 && links < maxLinks; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			dir = filepath.Dir(dir)
			continue
		}
		at := filepath.Join(dir, name)
		st, err := os.Lstat(at)
		switch {
		case err != nil:
			p.in(dir).names[name] = true
			return at
		case st.Mode()&fs.ModeSymlink != 0:
			p.in(dir).names[name] = true
			target, err := os.Readlink(at)
			if err != nil {
				return at
			}
			if filepath.IsAbs(target) {
				dir = "/"
			}
			rest = append(segments(target), rest...)
			links++
		case len(rest) == 0:
			p.in(dir).names[name] = true
			return at
		default:
			dir = at
		}
	}
	return dir
}

// segments splits a path without touching "..", which means something else behind a link than in the text.
func segments(path string) []string {
	var all []string
	for s := range strings.SplitSeq(path, "/") {
		if s != "" && s != "." {
			all = append(all, s)
		}
	}
	return all
}

// concern reports whether a change of the entry at path may change what the paths mean.
func (p places) concern(path string) bool {
	if p[path] != nil {
		return true // a watched directory itself
	}
	e, name := p[filepath.Dir(path)], filepath.Base(path)
	return e != nil && (e.names[name] || e.kind.has(name))
}

var seed = maphash.MakeSeed()

// state sums up the state of all entries. It differs when a file was changed, replaced, removed or made readable.
func (p places) state() uint64 {
	var sum uint64
	for dir, e := range p {
		if e.itself {
			sum += maphash.String(seed, dir+entryState(dir))
		}
		for name := range e.names {
			path := filepath.Join(dir, name)
			sum += maphash.String(seed, path+entryState(path)) // whatever the order
		}
	}
	return sum
}

func entryState(path string) string {
	st, err := os.Lstat(path)
	if err != nil {
		return err.Error()
	}
	sys := st.Sys().(*syscall.Stat_t)
	return fmt.Sprint(sys.Dev, sys.Ino, sys.Size, sys.Mtim, sys.Ctim)
}
