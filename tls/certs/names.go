package certs

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
)

// namesOf are the names that a certificate is valid for, and those in it that no client can ask for. The common name
// counts for nothing, with or without alternative names (RFC 9525, section 6).
func namesOf(leaf *x509.Certificate) (names, unusable []string) {
	names = make([]string, 0, len(leaf.DNSNames)+len(leaf.IPAddresses))
	seen := make(map[string]bool, cap(names))
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, dns := range leaf.DNSNames {
		if !askable(dns) {
			unusable = append(unusable, dns)
			continue
		}
		add(strings.ToLower(dns))
	}
	for _, ip := range leaf.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			add(addr.Unmap().String())
		}
	}
	return slices.Clip(names), unusable
}

// askable reports whether a client can ask for something that a DNS name in a certificate matches: labels of letters,
// digits, hyphens and underscores, the first perhaps a star (RFC 9525, section 6.3; a star within a label, which older
// rules had, matches nothing now). What is not ASCII stands there as A-labels or not at all.
func askable(dns string) bool {
	dns = strings.TrimPrefix(dns, "*.")
	if len(dns) == 0 || len(dns) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(dns); err == nil {
		return false
	}
	for label := range strings.SplitSeq(dns, ".") {
		if len(label) == 0 || len(label) > 63 || strings.ContainsFunc(label, foreign) {
			return false
		}
	}
	return true
}

// foreign reports whether a character cannot stand in a host name.
func foreign(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}
