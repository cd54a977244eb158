package rule

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/routing/regset"
)

// canonicalName checks the first argument of a matcher that has a name.
func canonicalName(kind Kind, name string) (string, *Error) {
	isQuery := kind == Query || kind == QueryRegexp
	switch {
	case name == "" && isQuery:
		return "", refuse(0, 1, "the parameter's name is empty", "write for example "+kind.example())
	case name == "":
		return "", refuse(0, 1, "the field's name is empty", "write for example "+kind.example())
	case isQuery:
		return name, nil
	}
	if i := notToken(name); i >= 0 {
		hint := "write for example " + kind.example()
		if name[i] == ':' {
			hint = "write name and value as two strings: " + kind.example()
		}
		return "", refusef(i, 1, hint, "%q cannot be part of a field's name", name[i])
	}
	return strings.ToLower(name), nil
}

// oldQuery finds the form of Traefik's second version, Query(`key=value`).
func oldQuery(name string) *Error {
	key, value, ok := strings.Cut(name, "=")
	if !ok {
		return nil
	}
	return refuse(0, len(name), "name and value of a parameter are two strings",
		"write Query(`"+key+"`, `"+value+"`)")
}

// notToken is the index of the first byte that a token cannot have (RFC 9110, section 5.6.2), or -1.
func notToken(s string) int {
	for i, c := range []byte(s) {
		if !letter(c) && !digit(c) && strings.IndexByte("!#$%&'*+-.^`|~", c) < 0 {
			return i
		}
	}
	return -1
}

func canonicalMethod(v string) (string, *Error) {
	switch i := notToken(v); {
	case v == "":
		return "", refuse(0, 1, "the method is empty", "leave it out to match any method")
	case v == "*":
		return "", refuse(0, 1, "a method has no wildcards", "leave it out to match any method")
	case strings.ContainsAny(v, "|, "):
		return "", refuse(strings.IndexAny(v, "|, "), 1, "one method in each string",
			"write for example "+Method.example())
	case i >= 0:
		return "", refusef(i, 1, "", "%q cannot be part of a method", v[i])
	}
	return strings.ToUpper(v), nil
}

// checkFieldValue refuses what no field's value can be (RFC 9110, section 5.5).
func checkFieldValue(v string) *Error {
	if trimmed := strings.Trim(v, " \t"); trimmed != v {
		return refuse(0, len(v), "fields are compared without white space around the value", "take it off")
	}
	for i, c := range []byte(v) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return refusef(i, 1, "take it out", "%q cannot be part of a field's value", c)
		}
	}
	return nil
}

// checkIdentity refuses what no name in a certificate can be: those of RFC 5280, section 4.2.1.6, and common names are
// text.
func checkIdentity(v string) *Error {
	if v == "" {
		return refuse(0, 1, "the identity is empty", "write for example "+ClientCert.example())
	}
	for i, c := range v {
		if c < ' ' || c == 0x7f {
			return refusef(i, 1, "take it out", "%q cannot be part of a name in a certificate", c)
		}
	}
	return nil
}

// checkRegexp checks an expression.
func checkRegexp(kind Kind, v string) *Error {
	if at, size := braces(v); size > 0 {
		return refuse(at, size, "names in braces are no part of expressions",
			"write the expression alone, such as "+kind.example()+`; write \{ for a brace`)
	}
	err := regset.Check(v)
	if err == nil {
		return nil
	}
	var fault *regset.Error
	if !errors.As(err, &fault) {
		return refuse(0, len(v), err.Error(), "")
	}
	return refuse(fault.At, fault.Len, fault.Msg, fault.Hint)
}

// braces finds a part such as {id} or {id:[0-9]+}, by which Traefik's second version named what an expression matched.
// In expressions of today it would be text, and so match nothing anybody meant.
func braces(v string) (at, size int) {
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '\\':
			if i++; i < len(v) && strings.IndexByte("pPx", v[i]) >= 0 {
				i++ // a class such as \pL or \p{Greek}
			}
		case '{':
			end := i + 1
			for end < len(v) && (letter(v[end]) || digit(v[end]) || v[end] == '-') {
				end++
			}
			if end > i+1 && letter(v[i+1]) && end < len(v) && (v[end] == ':' || v[end] == '}') {
				return i, end + 1 - i
			}
		}
	}
	return 0, 0
}

// parsePrefix reads an address or a prefix. IPv4 in IPv6 becomes IPv4, and bits beyond the mask are cleared.
func parsePrefix(v string) (netip.Prefix, *Error) {
	var none netip.Prefix
	address, mask, masked := strings.Cut(v, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return none, notAnAddress(v, address)
	}
	if addr.Zone() != "" {
		return none, refuse(strings.IndexByte(v, '%'), len(addr.Zone())+1, "the address has a zone", "leave it out")
	}
	bits := addr.BitLen()
	if masked {
		n, err := strconv.ParseUint(mask, 10, 16)
		if err != nil || int(n) > bits || mask != strconv.FormatUint(n, 10) {
			return none, badMask(address, mask, bits)
		}
		bits = int(n)
	}
	if addr.Is4In6() {
		if bits < 96 {
			return none, refuse(len(address)+1, len(mask), "the mask covers more than the IPv4 addresses within IPv6",
				"write IPv4 and IPv6 networks as two strings")
		}
		addr, bits = addr.Unmap(), bits-96
	}
	return netip.PrefixFrom(addr, bits).Masked(), nil
}

func notAnAddress(v, address string) *Error {
	hint := "write for example " + ClientIP.example() + " or ClientIP(`::1`)"
	if _, err := netip.ParseAddrPort(v); err == nil || strings.HasPrefix(v, "[") {
		hint = "leave brackets and port out"
	}
	return refusef(0, len(address), hint, "%q is no IP address", address)
}

func badMask(address, mask string, bits int) *Error {
	hint := "write a number from 0 to " + strconv.Itoa(bits)
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && bits == 32 {
		ones := 0
		for _, b := range m.As4() {
			for ; b&0x80 != 0; b <<= 1 {
				ones++
			}
		}
		hint = "write the number of bits: " + address + "/" + strconv.Itoa(ones)
	}
	return refusef(len(address)+1, len(mask), hint, "%q is no mask for this address", mask)
}

// prefixName writes a prefix as parsePrefix reads it, a single address without its mask.
func prefixName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
