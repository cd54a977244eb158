package certs

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// maxFile is the size of the largest file that is read; the list of all authorities that a system trusts has 250 KB.
const maxFile = 4 << 20

// file is a file of PEM blocks, as it was read.
type file struct {
	name    string
	data    []byte
	info    fs.FileInfo // as it was before it was read
	exposed bool        // others than its owner and group may read or write it

	certificates [][]byte // DER, in the order of the file
	keys         []*pem.Block
	others       []string // the labels of what is neither
}

// readFile reads a file, without looking into it; what is for the messages, such as "the certificate".
func readFile(name, what string) (*file, *Fault) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, faultf(name, "name a file", "is no regular file, but %s is expected in one", what)
	}
	var data []byte
	if err == nil {
		data, err = readAtMost(name, info.Size(), maxFile+1)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, faultf(name, "correct the path, or put "+what+" there", "does not exist")
	case errors.Is(err, fs.ErrPermission):
		return nil, faultf(name, "let the user that runs this process read it, for instance by the file's group",
			"may not be read")
	case err != nil:
		return nil, faultf(name, "see that it can be read", "cannot be read: %v", err)
	case len(data) > maxFile:
		return nil, faultf(name, "name the file that holds "+what, "is larger than %d MiB", maxFile>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, faultf(name, "put "+what+" there", "is empty")
	}
	return &file{name: name, data: data, info: info, exposed: info.Mode().Perm()&0o006 != 0}, nil
}

// readAtMost reads a file of a size that is known, unless it grows.
func readAtMost(name string, size, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := bytes.NewBuffer(make([]byte, 0, min(size, most)+bytes.MinRead))
	_, err = b.ReadFrom(io.LimitReader(f, most))
	return b.Bytes(), err
}

var begin = []byte("-----BEGIN ")

// decode finds the PEM blocks in the file. A damaged one is a fault, and not passed over: a chain that lacks a link
// works with some clients and fails with others.
func (f *file) decode() *Fault {
	data := bytes.TrimPrefix(f.data, []byte("\ufeff"))
	for at := nextBlock(data, 0); at < len(data); {
		end := nextBlock(data, at+len(begin))
		block, _ := pem.Decode(data[at:end])
		if block == nil {
			line := 1 + bytes.Count(data[:at], []byte("\n"))
			return faultf(f.name, "copy the file again, whole and as text",
				"has a damaged PEM block that begins in line %d", line)
		}
		f.take(block)
		at = end
	}
	return nil
}

// nextBlock is the offset of the first block that begins at from or behind it; len(data) when there is none.
func nextBlock(data []byte, from int) int {
	for from < len(data) {
		n := bytes.Index(data[from:], begin)
		if n < 0 {
			break
		}
		if from += n; from == 0 || data[from-1] == '\n' {
			return from
		}
		from += len(begin)
	}
	return len(data)
}

// take sorts a block by its label.
func (f *file) take(block *pem.Block) {
	switch label := block.Type; {
	case label == "CERTIFICATE" || label == "X509 CERTIFICATE":
		f.certificates = append(f.certificates, slices.Clip(block.Bytes))
	case label == "PRIVATE KEY" || strings.HasSuffix(label, " PRIVATE KEY"):
		f.keys = append(f.keys, block)
	case label != "EC PARAMETERS" && label != "DH PARAMETERS": // which openssl puts beside keys
		f.others = append(f.others, label)
	}
}
