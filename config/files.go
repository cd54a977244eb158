package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// listFiles puts the files of each directory in its place: those whose names end in .toml and do not begin with a dot,
// in order, and none of its subdirectories'. Links are followed, so that a directory of links that change together,
// as Kubernetes mounts them, is read as it is meant.
func listFiles(paths []string) (files []string, faults Faults) {
	known := map[string]bool{}
	for _, path := range paths {
		list := []string{filepath.Clean(path)}
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			list, err = filesIn(path)
		}
		switch {
		case err != nil:
			faults = append(faults, unreadable(path, err))
		case len(list) == 0:
			faults = append(faults, Fault{File: path, Found: "a directory without *.toml files",
				Expected: "a file, or a directory with configuration", offset: -1})
		}
		for _, file := range list {
			if !known[file] {
				known[file] = true
				files = append(files, file)
			}
		}
	}
	return files, faults
}

func filesIn(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".toml") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(dir, e.Name())
		if info, err := os.Stat(file); err != nil || !info.IsDir() {
			files = append(files, file)
		}
	}
	return files, err
}

// readBlock is how much of a file is read at once.
const readBlock = 256 << 10

// readText reads a file. While it is the same as old, nothing is copied, and if it is so to its end, same is true and
// text is not given. It reads no more than shows that a file is too large or no text.
func readText(path, old string) (text string, same bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	var b strings.Builder
	block := make([]byte, readBlock)
	n, equal := 0, true
	for first := true; n <= maxFile; first = false {
		k, err := io.ReadFull(f, block)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return "", false, err
		}
		part := block[:k]
		if first {
			part = bytes.TrimPrefix(part, []byte("\xef\xbb\xbf"))
		}
		if equal && (n+len(part) > len(old) || old[n:n+len(part)] != string(part)) {
			equal = false
			if info, err := f.Stat(); err == nil {
				b.Grow(int(min(max(info.Size(), int64(n+len(part))), maxFile+readBlock)))
			}
			b.WriteString(old[:n])
		}
		if !equal {
			b.Write(part)
		}
		n += len(part)
		if err != nil || !equal && bytes.IndexByte(part, 0) >= 0 {
			break
		}
	}
	if equal && n == len(old) {
		return "", true, nil
	}
	if equal {
		return strings.Clone(old[:n]), false, nil
	}
	return b.String(), false, nil
}

func unreadable(path string, err error) Fault {
	f := Fault{File: path, Expected: "a configuration file", offset: -1}
	var perr *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Found = "no such file"
	case errors.Is(err, fs.ErrPermission):
		f.Found, f.Hint = "a file that may not be read", "check its owner and mode"
	case errors.As(err, &perr):
		f.Found = fmt.Sprintf("something that cannot be read (%s)", perr.Err)
	default:
		f.Found = err.Error()
	}
	return f
}
