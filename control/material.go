package control

import (
	"slices"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/internal/breath"
)

// material is the files and directories that a configuration names: certificates, keys and what goes with them.
type material struct {
	paths  []string
	prints map[string]uint64 // fingerprints of what they held, taken before they were read
}

func materialOf(cfg *config.Config, rhythm *breath.Breath) material {
	m := material{filesOf(cfg), map[string]uint64{}}
	for _, path := range m.paths {
		m.prints[path] = fingerprint(nil, []string{path}, rhythm)
	}
	return m
}

// changed reports whether one of them holds something else by now.
func (m *material) changed(rhythm *breath.Breath) bool {
	return slices.ContainsFunc(m.paths, func(path string) bool {
		return fingerprint(nil, []string{path}, rhythm) != m.prints[path]
	})
}

// filesOf lists what cfg names, each once, in order.
func filesOf(cfg *config.Config) []string {
	var all []string
	pair := func(c *config.Certificate) { all = append(all, c.Cert, c.Key, c.OCSP) }
	for _, l := range cfg.Listeners {
		t := l.TLS
		if t == nil {
			continue
		}
		for i := range t.Certificates {
			pair(&t.Certificates[i])
		}
		all = append(all, t.Directory, t.Tickets.Keys, t.Tickets.SecretFile, t.ECHKeys)
		all = append(all, t.Policy.Client.CA...)
		for i := range t.Names {
			all = append(all, t.Names[i].Policy.Client.CA...)
		}
	}
	for _, s := range cfg.Services {
		if s.TLS == nil {
			continue
		}
		if all = append(all, s.TLS.CA...); s.TLS.Certificate != nil {
			pair(s.TLS.Certificate)
		}
	}
	all = slices.DeleteFunc(all, func(path string) bool { return path == "" })
	slices.Sort(all)
	return slices.Compact(all)
}
