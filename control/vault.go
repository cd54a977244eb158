package control

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/internal/breath"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// vault keeps what TLS is made of from one configuration to the next: what has not changed is the same value again, and
// is neither read nor parsed nor prepared twice.
type vault struct {
	log     *slog.Logger
	breath  *breath.Breath
	now     func() time.Time
	store   certs.Store
	madeUp  *certs.Certificate // the self-signed one; nil: nobody has asked for it
	listed  map[string]*listing
	tickets map[ticketSource]*ticketKeys
	staples staples
	last    *secured
}

// listing is a directory of certificates as it was loaded last, by its fingerprint.
type listing struct {
	print uint64
	list  []*certs.Certificate
}

func newVault(log *slog.Logger) *vault {
	return &vault{
		log: log, now: time.Now, listed: map[string]*listing{}, tickets: map[ticketSource]*ticketKeys{},
		staples: newStaples(), last: &secured{},
	}
}

// breathe makes loading pause from now on.
func (v *vault) breathe(b *breath.Breath) { v.breath, v.store.Breath = b, b }

// vaulting is one pass of a configuration through the vault. It goes on after a fault, so that all are found.
type vaulting struct {
	*vault
	cfg    *config.Config
	prints map[string]uint64 // of files and directories
	at     time.Time
	faults config.Faults

	listed  map[string]*listing // what of the vault's is still used
	tickets map[ticketSource]*ticketKeys
}

// fault notes that something at a key of the configuration cannot be used.
func (g *vaulting) fault(key, expected string, err error) {
	var f *certs.Fault
	if errors.As(err, &f) {
		g.faults = append(g.faults, g.cfg.Fault(key, f.File+", which "+f.What, expected, f.Do))
		return
	}
	g.faults = append(g.faults, g.cfg.Fault(key, "what cannot be used: "+err.Error(), expected, ""))
}

// load reads a certificate with its key, and with the staple that belongs to it.
func (g *vaulting) load(c *config.Certificate, stapling config.Stapling) *certs.Certificate {
	loaded, err := g.store.Load(c.Cert, c.Key)
	if err != nil {
		key := c.Path + ".cert"
		var f *certs.Fault
		if errors.As(err, &f) && f.File == c.Key && c.Key != c.Cert {
			key = c.Path + ".key"
		}
		g.fault(key, "a certificate with its key", err)
		return nil
	}
	if stapling == config.StaplingFiles && c.OCSP != "" {
		return g.staples.fromFile(g.log, loaded, c.OCSP, g.at)
	}
	return loaded
}

// directory reads the certificates of a directory, unless it is as it was.
func (g *vaulting) directory(key, dir string) []*certs.Certificate {
	print := g.prints[dir]
	if known := g.vault.listed[dir]; known != nil && known.print == print {
		g.listed[dir] = known
		return known.list
	}
	list, errs := g.store.LoadDir(dir)
	for _, err := range errs {
		g.fault(key, "certificates with their keys", err)
	}
	if len(errs) == 0 {
		g.listed[dir] = &listing{print, list}
	}
	return list
}

// selfSigned is the process's own certificate.
func (g *vaulting) selfSigned(key string) *certs.Certificate {
	if g.madeUp == nil {
		c, err := certs.SelfSigned()
		if err != nil {
			g.fault(key, "a certificate that can be made up", err)
			return nil
		}
		g.madeUp = c
	}
	return g.madeUp
}

// certificates are those of a listener, and the one that is shown to clients that ask for none or an unknown one.
func (g *vaulting) certificates(l *config.Listener) (list []*certs.Certificate, fallback *certs.Certificate) {
	t := l.TLS
	key := func(name string) string { return config.Path("listeners", l.Name, "tls", name) }
	for i := range t.Certificates {
		if c := g.load(&t.Certificates[i], t.Stapling); c != nil {
			list = append(list, c)
		}
	}
	if t.Directory != "" {
		list = append(list, g.directory(key("certificate_dir"), t.Directory)...)
	}
	if t.SelfSigned {
		if c := g.selfSigned(key("self_signed")); c != nil {
			list = append(list, c)
		}
	}
	if t.Stapling == config.StaplingFetch {
		list = g.staples.fetched(list, g.at)
	}
	switch {
	case t.Default != "":
		if fallback = forName(list, t.Default); fallback == nil && len(g.faults) == 0 {
			g.faults = append(g.faults, g.cfg.Fault(key("default"), fmt.Sprintf("%q, a name that no certificate is for",
				t.Default), "a name of one of the certificates", ""))
		}
	case len(list) > 0:
		fallback = list[0]
	}
	return list, fallback
}

// forName is the first certificate for a name: with the name itself, or with a wildcard for it.
func forName(list []*certs.Certificate, name string) *certs.Certificate {
	_, domain, _ := strings.Cut(name, ".")
	for _, wanted := range []string{name, "*." + domain} {
		i := slices.IndexFunc(list, func(c *certs.Certificate) bool { return slices.Contains(c.Names, wanted) })
		if i >= 0 {
			return list[i]
		}
	}
	return nil
}
