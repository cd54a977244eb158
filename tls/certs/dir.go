package certs

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LoadDir loads each certificate of a directory: x.crt or x.pem with its key in x.key beside it, or in x.pem itself.
// Files with other endings, and those whose names begin with a dot, are passed over. What could not be loaded is in
// the errors, each a *Fault, and does not keep the others from being loaded. Both are in the order of the file names.
func (s *Store) LoadDir(dir string) ([]*Certificate, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, []error{unlisted(dir, err)}
	}
	present := make(map[string]bool, len(entries))
	for _, entry := range entries {
		present[entry.Name()] = true
	}
	var list []*Certificate
	var faults []error
	others := &owners{}
	for _, entry := range entries {
		name := entry.Name()
		stem, ok := certificateFile(name)
		if !ok || entry.IsDir() {
			continue
		}
		keyFile := filepath.Join(dir, stem+".key")
		if !present[stem+".key"] {
			keyFile = filepath.Join(dir, name)
		}
		c, fault := s.load(filepath.Join(dir, name), keyFile, others)
		if fault == nil {
			list = append(list, c)
			continue
		}
		if fault.keyless {
			fault.Do = "put its private key beside it, as " + stem + ".key"
		}
		faults = append(faults, fault)
	}
	return list, faults
}

// unlisted is the fault of a directory that cannot be read.
func unlisted(dir string, err error) *Fault {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return faultf(dir, "correct the path, or make the directory", "does not exist")
	case errors.Is(err, fs.ErrPermission):
		return faultf(dir, "let the user that runs this process read it", "may not be read")
	}
	return faultf(dir, "name a directory that can be read", "cannot be read as a directory: %v", err)
}

// certificateFile reports whether a file's name says that it holds a certificate, and what the key's begins with.
func certificateFile(name string) (stem string, ok bool) {
	extension := filepath.Ext(name)
	stem = strings.TrimSuffix(name, extension)
	return stem, (extension == ".crt" || extension == ".pem") && stem != "" && stem[0] != '.'
}

// maxOwners is how many files are looked through for the certificate of a key that was given to another.
const maxOwners = 10_000

// owners knows which certificate of a directory a key belongs to. It looks when it is first asked, and once, for a
// directory with many wrong keys is the one where that takes long.
type owners struct {
	dir   string
	files map[string]string // by the public key, in DER
}

// mismatch is the fault of a key that is not its certificate's.
func (o *owners) mismatch(a *assembly) *Fault {
	fault := faultf(a.certs.name, "name the key that it was requested with, or the certificate that came for this key",
		"does not belong to the key in %s", a.key.name)
	public, err := x509.MarshalPKIXPublicKey(a.private.signer.Public())
	if err != nil {
		return fault
	}
	for _, dir := range slices.Compact([]string{filepath.Dir(a.certs.name), filepath.Dir(a.key.name)}) {
		o.look(dir)
		if owner := o.files[string(public)]; owner != "" {
			fault.What += ", which is that of " + owner
			fault.Do = "give each certificate its own key"
			return fault
		}
	}
	return fault
}

// look reads the first certificate of each certificate file in a directory.
func (o *owners) look(dir string) {
	if o.files != nil && o.dir == dir {
		return
	}
	o.dir, o.files = dir, map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries[:min(len(entries), maxOwners)] {
		if _, ok := certificateFile(entry.Name()); !ok || entry.IsDir() {
			continue
		}
		f, fault := readFile(filepath.Join(dir, entry.Name()), "")
		if fault != nil || f.decode() != nil || len(f.certificates) == 0 {
			continue
		}
		if c, err := x509.ParseCertificate(f.certificates[0]); err == nil {
			o.files[string(c.RawSubjectPublicKeyInfo)] = f.name
		}
	}
}
