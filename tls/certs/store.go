package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"sync"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// Store remembers what it has parsed, for as long as somebody holds it: a configuration that has one certificate
// changed parses that one, and what no snapshot uses any more is collected. The zero Store is ready. Its methods may be
// called by several goroutines, one of which works at a time.
type Store struct {
	// Breath, when there is one, makes loading pause for the shards. It is not set while a method runs.
	Breath *breath.Breath

	mu     sync.Mutex
	known  memo[identity, Certificate]
	pools  memo[poolIdentity, x509.CertPool]
	links  map[[sha256.Size]byte]*link
	parsed int // how many certificates were parsed, in tests
}

// maxLinks bounds the certificates of authorities that are kept for chains to share. There are a few hundred in
// use in the world.
const maxLinks = 4096

// identity is what makes two loaded certificates the same: where they are from, for messages name the files; what is in
// the files; and who may read the key, which is a warning.
type identity struct {
	certFile, keyFile string
	content           [sha256.Size]byte
	exposed           bool
}

// Load reads a certificate and its chain from one PEM file and its key from another, or both from the same. The
// certificate is shared with all who load the same files with the same content. An error is a *Fault.
func (s *Store) Load(certFile, keyFile string) (*Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fault := s.load(certFile, keyFile, &owners{})
	if fault != nil {
		return nil, fault
	}
	return c, nil
}

// load is Load with the lock held. Whose a wrong key is, it asks others.
func (s *Store) load(certFile, keyFile string, others *owners) (*Certificate, *Fault) {
	s.Breath.Draw()
	certs, fault := readFile(certFile, "the certificate")
	if fault != nil {
		return nil, fault
	}
	key := certs
	if keyFile != certFile {
		if key, fault = readFile(keyFile, "the private key"); fault != nil {
			return nil, fault
		}
	}
	id := identity{certFile, keyFile, digest(certs.data, key.data), key.exposed}
	if c := s.known.recall(id); c != nil {
		return c, nil
	}
	c, fault := s.parse(certs, key, others)
	if fault != nil {
		return nil, fault
	}
	s.known.remember(id, c)
	return c, nil
}

// parse makes a certificate of two files that were read.
func (s *Store) parse(certs, key *file, others *owners) (*Certificate, *Fault) {
	s.parsed++
	if fault := certs.decode(); fault != nil {
		return nil, fault
	}
	if key != certs {
		if fault := key.decode(); fault != nil {
			return nil, fault
		}
	}
	switch n := len(certs.certificates); {
	case n == 0:
		return nil, certs.lacksCertificate()
	case n > maxChain:
		return nil, faultf(certs.name, "name the file with the server's own certificate and its chain",
			"holds %d certificates, as lists of authorities do", n)
	}
	private, fault := key.key()
	if fault != nil {
		return nil, fault
	}
	a := &assembly{certs: certs, key: key, private: private}
	if fault := a.findLeaf(); fault != nil {
		return nil, fault
	}
	if a.leaf == nil {
		return nil, others.mismatch(a)
	}
	return a.assemble(s.intern)
}

// intern yields the link of a certificate that was seen before, or makes it.
func (s *Store) intern(der []byte) (*link, error) {
	sum := sha256.Sum256(der)
	if l := s.links[sum]; l != nil {
		return l, nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if s.links == nil || len(s.links) >= maxLinks {
		s.links = map[[sha256.Size]byte]*link{}
	}
	s.links[sum] = newLink(c)
	return s.links[sum], nil
}

// digest is one for several contents. Each is hashed by itself, so that nothing can move from one into the next.
func digest(contents ...[]byte) [sha256.Size]byte {
	sums := make([]byte, 0, 8*sha256.Size)
	for _, content := range contents {
		sum := sha256.Sum256(content)
		sums = append(sums, sum[:]...)
	}
	return sha256.Sum256(sums)
}

// errNoFiles is for a caller that wants authorities and names no file.
var errNoFiles = errors.New("read authorities: no file is named")
