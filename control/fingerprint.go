package control

import (
	"hash/maphash"
	"io"
	"os"
	"path/filepath"

	"github.com/uringproxy/uringproxy/config"
)

var seed = maphash.MakeSeed()

// fingerprint identifies the content of the files at paths. It opens only regular files: a pipe can be read once, which
// is what loading does.
func fingerprint(paths []string) uint64 {
	var h maphash.Hash
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

func addDirectory(h *maphash.Hash, path string) {
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

func addFile(h *maphash.Hash, path string) {
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

func addContent(h *maphash.Hash, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}
