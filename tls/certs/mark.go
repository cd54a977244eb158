package certs

import (
	"crypto/sha256"
	"hash/maphash"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// mark is what the kernel tells of a file that does not say what is in it, hashed: where it is, how long, and when it
// was last written and changed. As long as that is the same, so is the content. 0 says that this may not be relied on.
type mark uint64

// settled is how old a file's last change must be for its mark to be relied on. One that is changed twice within the
// resolution of its file system's clock has the same mark both times, which is why version control systems do not
// rely on those of young files either; two seconds is the coarsest resolution in use.
const settled = 3 * time.Second

var markSeed = maphash.MakeSeed()

// markOf is the mark of a file about which the kernel has told info at a time.
func markOf(info fs.FileInfo, at time.Time) mark {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	young := at.Add(-settled).UnixNano()
	if sys.Mtim.Nano() > young || sys.Ctim.Nano() > young {
		return 0
	}
	return mark(maphash.Comparable(markSeed, [...]int64{
		int64(sys.Dev), int64(sys.Ino), sys.Size, sys.Mtim.Nano(), sys.Ctim.Nano(), int64(sys.Mode),
	}))
}

// version is what a certificate was made of.
type version struct {
	content   [sha256.Size]byte // the digest of both files
	cert, key mark
	exposed   bool // others may read the key
}

// same reports whether both files have the same in them, and the same may read them.
func (v version) same(other version) bool {
	return v.content == other.content && v.exposed == other.exposed
}

// stands reports whether v's marks say that its files are as they were, without a look into them.
func (v version) stands(p pair, at time.Time) bool {
	return stands(p.cert, v.cert, at) && (p.key == p.cert || stands(p.key, v.key, at))
}

func stands(name string, was mark, at time.Time) bool {
	if was == 0 {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && markOf(info, at) == was
}
