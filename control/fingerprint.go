package control

import (
	"hash/maphash"
	"io"
	"os"
	"path/filepath"

	"github.com/uringproxy/uringproxy/config"
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

// fingerprint identifies the content of the files at paths. It opens only regular files: a pipe can be read once, which
// is what loading does.
func fingerprint(paths []string, rhythm *breath.Breath) uint64 {
	h := reading{breath: rhythm}
	h.SetSeed(seed)
	for _, path := range paths {
		st, err := os.Stat(path)
		if err == nil && st.IsDir() {
			addDirectory(&h, path)
			continue
		}
		addFile(&h, path)
	}
	return h.Sum64()
}

func addDirectory(h *reading, path string) {
	files, err := os.ReadDir(path)
	if err != nil {
		h.WriteString(err.Error())
	}
	for _, f := range files {
		if config.Belongs(f.Name()) {
			addFile(h, filepath.Join(path, f.Name()))
		}
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
