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

	"github.com/uringproxy/uringproxy/internal/breath"
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

// Belongs reports whether a file of that name in a configuration directory is a part of the configuration.
func Belongs(name string) bool {
	return strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".")
}

func filesIn(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !Belongs(e.Name()) {
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

const byteOrderMark = "\xef\xbb\xbf"

// readFile reads a file whose text was old, which may be nil. The result's source is old when the text is the same.
func readFile(path string, old *source, rhythm *breath.Breath) (revised, error) {
	f, err := os.Open(path)
	if err != nil {
		return revised{}, err
	}
	defer f.Close()
	size := 0
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = int(min(info.Size(), maxFile+readBlock))
	}
	if old != nil && 0 < size && size <= maxFile {
		if in, err := readChange(f, size, old, rhythm); err == nil {
			return in, nil
		}
	}
	text, err := readText(f, size)
	return revised{source: newSource(path, text)}, err
}

// readText reads all of a file of about a size, but no more than shows that it is too large or no text.
func readText(f io.Reader, size int) (string, error) {
	var b strings.Builder
	b.Grow(size)
	block := make([]byte, readBlock)
	for b.Len() <= maxFile {
		n, err := io.ReadFull(f, block)
		b.Write(block[:n])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || bytes.IndexByte(block[:n], 0) >= 0 {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return strings.TrimPrefix(b.String(), byteOrderMark), nil
}

// readChange reads a file of a known size from both ends as far as it is the same as old, and then what is between.
func readChange(f io.ReaderAt, size int, old *source, rhythm *breath.Breath) (in revised, err error) {
	block := make([]byte, readBlock)
	mark := len(byteOrderMark)
	if size < mark {
		mark = 0
	} else if _, err := f.ReadAt(block[:mark], 0); err != nil {
		return in, err
	} else if string(block[:mark]) != byteOrderMark {
		mark = 0
	}
	size -= mark
	in.since, in.breath = old, rhythm
	common := min(size, old.size)
	for in.first < common {
		rhythm.Draw()
		part := block[:min(readBlock, common-in.first)]
		if _, err := f.ReadAt(part, int64(mark+in.first)); err != nil {
			return in, err
		}
		n := sameFirst(part, old.slice(in.first, in.first+len(part)))
		if in.first += n; n < len(part) {
			break
		}
	}
	if in.first == size && size == old.size {
		in.source = old
		return in, nil
	}
	for common -= in.first; in.last < common; {
		rhythm.Draw()
		part := block[:min(readBlock, common-in.last)]
		if _, err := f.ReadAt(part, int64(mark+size-in.last-len(part))); err != nil {
			return in, err
		}
		end := old.size - in.last
		n := sameLast(part, old.slice(end-len(part), end))
		if in.last += n; n < len(part) {
			break
		}
	}
	middle := make([]byte, size-in.first-in.last)
	if _, err := f.ReadAt(middle, int64(mark+in.first)); err != nil && len(middle) > 0 {
		return in, err
	}
	in.source = old.replace(in.first, in.last, string(middle))
	return in, nil
}

// sameFirst counts the bytes at the beginning in which b and s, which are of one length, agree.
func sameFirst(b []byte, s string) (n int) {
	for step := len(b); step > 0; {
		if n+step <= len(b) && string(b[n:n+step]) == s[n:n+step] {
			n += step
		} else {
			step /= 2
		}
	}
	return n
}

// sameLast counts the bytes at the end in which b and s, which are of one length, agree.
func sameLast(b []byte, s string) (n int) {
	all := len(b)
	for step := all; step > 0; {
		if n+step <= all && string(b[all-n-step:all-n]) == s[all-n-step:all-n] {
			n += step
		} else {
			step /= 2
		}
	}
	return n
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
