package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// material is a look at the files that TLS is made of.
type material struct {
	*checker
	store *certs.Store
	now   time.Time
	seen  map[*certs.Certificate]bool // whose warnings are given already
}

// material reads the files that the configuration names for TLS. What keeps a process from starting is a fault.
func (k *checker) material(store *certs.Store, now time.Time) {
	m := &material{k, store, now, map[*certs.Certificate]bool{}}
	for _, l := range k.config.Listeners {
		if l.TLS != nil {
			m.listener(l)
		}
	}
	for _, s := range k.config.Services {
		if s.TLS == nil {
			continue
		}
		path := config.Path("services", s.Name, "tls")
		m.authorities(path, "ca", s.TLS.CA)
		if own := s.TLS.Certificate; own != nil {
			if c := m.load(own); c != nil {
				m.judgeOwn(c, own.Path)
			}
		}
	}
}

// refuse notes what a process would not start with.
func (m *material) refuse(table, key, expected string, err error) {
	n := note{severity: Fault, code: Invalid, table: table, keys: []string{key}, expected: expected}
	var f *certs.Fault
	var unread *fs.PathError
	switch {
	case errors.As(err, &f):
		n.message, n.hint = f.File+", which "+f.What, f.Do
	case errors.As(err, &unread):
		n.message = unread.Path + ", which cannot be read: " + unread.Err.Error()
	default:
		n.message = "what cannot be used: " + err.Error()
	}
	m.notes = append(m.notes, n)
}

func (m *material) listener(l *config.Listener) {
	t, path := l.TLS, config.Path("listeners", l.Name, "tls")
	var list []*certs.Certificate
	good := true
	for i := range t.Certificates {
		c := m.staple(&t.Certificates[i], m.load(&t.Certificates[i]))
		if good = good && c != nil; c != nil {
			list = append(list, c)
			m.judge(c, t.Certificates[i].Path, "cert")
		}
	}
	if t.Directory != "" {
		more, errs := m.store.LoadDir(t.Directory)
		for _, err := range errs {
			m.refuse(path, "certificate_dir", "certificates with their keys", err)
			good = false
		}
		for _, c := range more {
			m.judge(c, path, "certificate_dir")
		}
		if list = append(list, more...); len(errs)+len(more) == 0 {
			m.warn(Certificate, path, "put NAME.crt and NAME.key there", "a directory without a certificate",
				"certificate_dir")
		}
	}
	set := certs.NewSet(list, nil)
	for _, w := range set.Warnings() {
		m.warn(Certificate, path, "", w)
	}
	if _, ok := set.Find([]byte(t.Default)); t.Default != "" && good && !t.SelfSigned && !ok {
		m.notes = append(m.notes, note{
			severity: Fault, code: Invalid, table: path, keys: []string{"default"},
			message:  fmt.Sprintf("%q, a name that no certificate is for", t.Default),
			expected: "a name of one of the certificates",
		})
	}
	if good && len(list) > 0 {
		m.coverage(l, set)
	}
	m.authorities(path, "client_certificate.ca", t.Policy.Client.CA)
	for i := range t.Names {
		n := &t.Names[i]
		if !slices.Equal(n.Policy.Client.CA, t.Policy.Client.CA) {
			m.authorities(config.Path("listeners", l.Name, "tls", "names", n.Name), "client_certificate.ca",
				n.Policy.Client.CA)
		}
	}
	m.secrets(path, t)
}

// load reads a certificate.
func (m *material) load(c *config.Certificate) *certs.Certificate {
	loaded, err := m.store.Load(c.Cert, c.Key)
	if err != nil {
		key := "cert"
		var f *certs.Fault
		if errors.As(err, &f) && f.File == c.Key && c.Key != c.Cert {
			key = "key"
		}
		m.refuse(c.Path, key, "a certificate with its key", err)
		return nil
	}
	return loaded
}

// staple is a certificate with the authority's answer that belongs to it, if there is one.
func (m *material) staple(c *config.Certificate, loaded *certs.Certificate) *certs.Certificate {
	if c.OCSP == "" || loaded == nil {
		return loaded
	}
	stapled, err := loaded.WithStapleFile(c.OCSP, m.now)
	if err != nil {
		m.warn(Certificate, c.Path, "", "an answer of the authority that is not used: "+err.Error(), "ocsp")
		return loaded
	}
	return stapled
}

// judge gives a certificate's warnings, once.
func (m *material) judge(c *certs.Certificate, table, key string) {
	if m.seen[c] {
		return
	}
	m.seen[c] = true
	for _, w := range c.Warnings(m.now) {
		m.warn(Certificate, table, "", "the certificate in "+c.Source+": "+w, key)
	}
}

// judgeOwn looks at a certificate that endpoints are shown: they mind its time, and not its names.
func (m *material) judgeOwn(c *certs.Certificate, table string) {
	const soon = 14 * 24 * time.Hour
	says, on := "expires soon, on ", c.NotAfter
	switch {
	case m.now.After(c.NotAfter):
		says = "expired on "
	case m.now.Before(c.NotBefore):
		says, on = "not valid before ", c.NotBefore
	case c.NotAfter.Sub(m.now) >= soon:
		return
	}
	m.warn(Certificate, table, "", "the certificate in "+c.Source+": "+says+on.UTC().Format("2006-01-02 15:04 UTC"),
		"cert")
}

func (m *material) authorities(table, key string, files []string) {
	if len(files) == 0 {
		return
	}
	if _, err := m.store.Authorities(files...); err != nil {
		m.refuse(table, key, "certificates of authorities", err)
	}
}

// secrets looks at the files with keys that are no certificate's.
func (m *material) secrets(path string, t *config.ListenerTLS) {
	for _, s := range []struct {
		key, file, expected string
		read                func([]byte) error
	}{
		{"tickets.keys", t.Tickets.Keys, "keys for tickets", func(text []byte) error {
			_, err := handshake.TicketsFromKeys(text)
			return err
		}},
		{"tickets.secret", t.Tickets.SecretFile, "a secret for tickets", func(text []byte) error {
			_, _, err := handshake.TicketsFromSecret([]byte(strings.TrimSpace(string(text))), m.now, t.Tickets.Rotate)
			return err
		}},
		{"ech_keys", t.ECHKeys, "keys for Encrypted Client Hello", func(text []byte) error {
			_, err := handshake.ParseECHKeys(text)
			return err
		}},
	} {
		if s.file == "" {
			continue
		}
		text, err := os.ReadFile(s.file)
		if err == nil {
			err = s.read(text)
			clear(text)
		}
		if err != nil {
			m.refuse(path, s.key, s.expected, err)
			continue
		}
		if info, err := os.Stat(s.file); err == nil && info.Mode()&0o004 != 0 {
			m.warn(OpenSecret, path, "chmod o-rwx "+s.file,
				"the file "+s.file+", which everybody on this machine may read", s.key)
		}
	}
}
