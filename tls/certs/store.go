package certs

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// Store remembers what it has parsed, for as long as somebody holds it: a configuration that has one certificate
// changed reads and parses that one, and what no snapshot uses any more is collected. The zero Store is ready. Its
// methods may be called by several goroutines, one of which works at a time.
type Store struct {
	// Breath, when there is one, makes loading pause for the shards. It is not set while a method runs.
	Breath *breath.Breath

	mu     sync.Mutex
	known  memo[pair, version, Certificate]
	pools  memo[poolIdentity, struct{}, x509.CertPool]
	links  map[[sha256.Size]byte]*link
	now    func() time.Time // nil: the clock's
	read   int              // how many certificates were read, in tests
	parsed int              // and parsed
}

// maxLinks bounds the certificates of authorities that are kept for chains to share. There are a few hundred in
// use in the world.
const maxLinks = 4096

// pair is the files that a certificate and its key are in.
type pair struct{ cert, key string }

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
	from, now := pair{certFile, keyFile}, s.clock()
	known, was := s.known.recall(from)
	if known != nil && was.stands(from, now) {
		return known, nil
	}
	s.read++
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
	is := version{digest(certs.data, key.data), markOf(certs.info, now), markOf(key.info, now), key.exposed}
	if known == nil || !is.same(was) {
		if known, fault = s.parse(certs, key, others); fault != nil {
			return nil, fault
		}
	}
	s.known.remember(from, is, known)
	return known, nil
}

func (s *Store) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
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
