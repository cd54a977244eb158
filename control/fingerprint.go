package control

import (
	"hash/maphash"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/control/watch"
	"github.com/uringproxy/uringproxy/internal/breath"
)

var seed = maphash.MakeSeed()

// hashBlock is how much of a file is hashed between two breaths.
const hashBlock = 64 << 10

// reading is a hash that is computed at the rhythm of a breath.
type reading struct {
	maphash.Hash
	breath *breath.Breath
}

func (r *reading) Write(b []byte) (int, error) {
	r.breath.Draw()
	return r.Hash.Write(b)
}

// fingerprint identifies the content of the files at paths, and of the material, which is what they name. It opens only
// regular files: a pipe can be read once, which is what loading does.
func fingerprint(paths, material []string, rhythm *breath.Breath) uint64 {
	h := reading{breath: rhythm}
	h.SetSeed(seed)
	h.add(paths, config.Belongs, math.MaxInt)
	h.add(material, watch.IsMaterial, manyFiles)
	return h.Sum64()
}

// add adds the files at paths, and those with certain names in directories, of which it reads no more than many.
func (r *reading) add(paths []string, belongs func(name string) bool, many int) {
	for _, path := range paths {
		st, err := os.Stat(path)
		if err == nil && st.IsDir() {
			addDirectory(r, path, belongs, many)
			continue
		}
		addFile(r, path)
	}
}

// manyFiles is how many files of a directory of certificates are identified by their content. Where there are more it
// is by what the kernel tells of each, or else it would take seconds to find that nothing has changed.
const manyFiles = 1024

func addDirectory(h *reading, path string, belongs func(name string) bool, many int) {
	files, err := os.ReadDir(path)
	if err != nil {
		h.WriteString(err.Error())
	}
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return !belongs(f.Name()) })
	add := addFile
	if len(files) > many {
		add = addState
	}
	for _, f := range files {
		add(h, filepath.Join(path, f.Name()))
	}
}

// addState adds what the kernel tells of a file.
func addState(h *reading, path string) {
	h.breath.Draw()
	st, err := os.Stat(path)
	if err != nil {
		h.WriteString(err.Error())
		return
	}
	h.WriteString(path)
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		maphash.WriteComparable(&h.Hash, [5]int64{
			int64(sys.Dev), int64(sys.Ino), sys.Size, sys.Mtim.Nano(), sys.Ctim.Nano(),
		})
	}
}

func addFile(h *reading, path string) {
	h.WriteString(path)
	st, err := os.Stat(path)
	if err == nil && st.Mode().IsRegular() {
		err = addContent(h, path)
	}
	if err != nil {
		h.WriteString(err.Error()) // what cannot be read today may be readable tomorrow
	}
	h.WriteByte(0)
}

func addContent(h *reading, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, hashBlock))
	return err
}
