package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"strings"
)

// poolIdentity is what makes two lists of authorities the same.
type poolIdentity struct {
	files   string
	content [sha256.Size]byte
}

// Authorities reads the certificates of the authorities that a peer's certificate is verified by, from PEM files. The
// pool is shared with all who read the same files with the same content, so that who compares pools may compare the
// pointers; it is not to be changed. An error about a file is a *Fault.
func (s *Store) Authorities(names ...string) (*x509.CertPool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(names) == 0 {
		return nil, errNoFiles
	}
	var files []*file
	var contents [][]byte
	for _, name := range names {
		f, fault := readFile(name, "the certificates of the authorities")
		if fault != nil {
			return nil, fault
		}
		files, contents = append(files, f), append(contents, f.data)
	}
	id := poolIdentity{strings.Join(names, "\x00"), digest(contents...)}
	if pool, _ := s.pools.recall(id); pool != nil {
		return pool, nil
	}
	pool := x509.NewCertPool()
	for _, f := range files {
		if fault := f.addTo(pool); fault != nil {
			return nil, fault
		}
	}
	s.pools.remember(id, struct{}{}, pool)
	return pool, nil
}

// addTo adds the certificates of a file that was read.
func (f *file) addTo(pool *x509.CertPool) *Fault {
	if fault := f.decode(); fault != nil {
		return fault
	}
	if len(f.certificates) == 0 {
		return f.lacksCertificate()
	}
	for i, der := range f.certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return f.unreadable(i, err)
		}
		pool.AddCert(c)
	}
	return nil
}
