package routing

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// look has visit called with each spot of the index that the request may have something to do with.
func (m *match) look(x *index, here end) {
	if x.kinds[rule.Header]|x.kinds[rule.HeaderRegexp] != 0 {
		m.lookFields(x, here)
	}
	if x.kinds[rule.Query] != 0 {
		m.lookQuery(x, here)
	}
	if x.kinds[rule.Method] != 0 {
		m.visitKey(x, hashBytes(kindHash(rule.Method), m.Method), here)
	}
	if x.kinds[rule.ClientIP] != 0 && m.Client.IsValid() {
		m.lookClient(x, here)
	}
	if x.kinds[rule.DestinationPort] != 0 {
		m.visitKey(x, portHash(m.Port), here)
	}
	if m.TLS != nil && x.kinds[rule.SNI] != 0 {
		m.visitKey(x, hashBytes(kindHash(rule.SNI), m.TLS.SNI), here)
	}
	if m.TLS != nil && x.kinds[rule.JA4] != 0 {
		m.visitKey(x, hashBytes(kindHash(rule.JA4), m.TLS.JA4), here)
	}
	if x.kinds[rule.ClientCert] != 0 {
		for _, name := range m.ClientCert {
			m.visitKey(x, hashBytes(kindHash(rule.ClientCert), name), here)
		}
	}
}

// visitKey tries what is filed under the hash h, which has not been ended yet.
func (m *match) visitKey(x *index, h uint64, here end) {
	if s := x.keys.find(hashEnd(h)); s != nil {
		m.best = m.first(s.alts, here, m.best)
	}
}

func (m *match) lookFields(x *index, here end) {
	for i := range m.Fields {
		f := &m.Fields[i]
		h := kindHash(rule.Header)
		for _, c := range f.Name {
			h = hashByte(h, lower(c))
		}
		u := x.names.find(h)
		if u == nil {
			continue
		}
		h = hashByte(h, 0)
		m.visitKey(x, hashBytes(h, presence), here)
		m.visitKey(x, hashBytes(h, f.Value), here)
		if u.patterns != nil {
			m.visitPatterns(u.patterns, f.Value, here)
		}
	}
}

func (m *match) lookQuery(x *index, here end) {
	for rest := m.Query; len(rest) > 0; {
		var key, value []byte
		key, value, rest = pair(rest)
		h := hashDecoded(kindHash(rule.Query), key)
		if x.names.find(h) == nil {
			continue
		}
		h = hashByte(h, 0)
		m.visitKey(x, hashBytes(h, presence), here)
		m.visitKey(x, hashDecoded(h, value), here)
	}
}

func (m *match) lookClient(x *index, here end) {
	for bits, n := range &x.bits[family(m.Client)] {
		if n == 0 || bits > m.Client.BitLen() {
			continue
		}
		p, err := m.Client.Prefix(bits)
		if err != nil {
			continue // of an address with a zone
		}
		if s := x.keys.find(prefixHash(netip.PrefixFrom(p.Addr(), bits))); s != nil {
			m.best = m.first(s.alts, here, m.best)
		}
	}
}
