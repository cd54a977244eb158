package hello

import (
	"crypto/sha256"
	"slices"
)

// JA4Bytes is the length of a JA4 fingerprint, such as t13d1516h2_8daaf6152771_e5627efa2ab1.
const JA4Bytes = 36

// Transport is what a hello came by, as the first letter of its fingerprint.
type Transport byte

const (
	OverTCP  Transport = 't'
	OverQUIC Transport = 'q'
)

const (
	hexDigits  = "0123456789abcdef"
	hashDigits = 12
	maxCount   = 99 // in two digits
)

// JA4 writes the fingerprint of the client's software (FoxIO's JA4, for TLS clients) to out. It begins with what can be
// read off: transport, highest version, whether there is a server name, how many suites and extensions, and the ends of
// the first protocol's name. The beginnings of two hashes follow: of the suites in order of number; of the extensions
// in order of number, without server name and protocols, and the signature schemes in the client's order. GREASE is
// left out throughout. It says nothing of who the client is, and whoever wants another client's fingerprint can
// have it.
func (h *Hello) JA4(message []byte, over Transport, out *[JA4Bytes]byte) {
	var ids [max(MaxSuites, MaxExtensions, MaxSchemes)]uint16
	var text [5 * max(MaxSuites, MaxExtensions+MaxSchemes)]byte

	suites := collect(ids[:0], Numbers(h.Suites.In(message)))
	out[0] = byte(over)
	version := versionDigits(h.ja4Version(message))
	out[1], out[2] = version[0], version[1]
	out[3] = 'i'
	if h.Name != NameNone {
		out[3] = 'd'
	}
	out[4], out[5] = twoDigits(len(suites))
	out[8], out[9] = h.ja4Protocol(message)
	out[10], out[23] = '_', '_'
	slices.Sort(suites)
	digest(out[11:23], appendList(text[:0], suites))

	count := 0
	extensions := ids[:0]
	for e := Extensions(h.Extensions.In(message)); len(e) > 0; {
		var id uint16
		if id, _, e = e.Next(); IsGREASE(id) {
			continue
		}
		count++
		if id != extServerName && id != extALPN {
			extensions = append(extensions, id)
		}
	}
	out[6], out[7] = twoDigits(count)
	slices.Sort(extensions)
	list := appendList(text[:0], extensions)
	if schemes := collect(ids[:0], Numbers(h.Schemes.In(message))); len(schemes) > 0 {
		list = appendList(append(list, '_'), schemes)
	}
	digest(out[24:], list)
}

// collect appends the numbers that are no GREASE to ids, which has room for them.
func collect(ids []uint16, from Numbers) []uint16 {
	for i := range from.Len() {
		if n := from.At(i); !IsGREASE(n) {
			ids = append(ids, n)
		}
	}
	return ids
}

// appendList writes numbers in four digits each, with commas between them.
func appendList(text []byte, ids []uint16) []byte {
	for i, id := range ids {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, hexDigits[id>>12], hexDigits[id>>8&15], hexDigits[id>>4&15], hexDigits[id&15])
	}
	return text
}

// digest writes the beginning of a text's hash; zeros for no text, so that one sees that there was none.
func digest(out, text []byte) {
	if len(text) == 0 {
		for i := range out {
			out[i] = '0'
		}
		return
	}
	sum := sha256.Sum256(text)
	for i := range hashDigits / 2 {
		out[2*i], out[2*i+1] = hexDigits[sum[i]>>4], hexDigits[sum[i]&15]
	}
}

func twoDigits(n int) (tens, ones byte) {
	n = min(n, maxCount)
	return '0' + byte(n/10), '0' + byte(n%10)
}

// ja4Version is the highest version offered, known or not.
func (h *Hello) ja4Version(message []byte) uint16 {
	if h.Versions.Len == 0 {
		return h.Legacy
	}
	highest := uint16(0)
	versions := Numbers(h.Versions.In(message))
	for i := range versions.Len() {
		if v := versions.At(i); !IsGREASE(v) {
			highest = max(highest, v)
		}
	}
	return highest
}

func versionDigits(version uint16) string {
	switch version {
	case VersionTLS13:
		return "13"
	case VersionTLS12:
		return "12"
	case VersionTLS11:
		return "11"
	case VersionTLS10:
		return "10"
	case VersionSSL30:
		return "s3"
	}
	return "00"
}

// ja4Protocol is the first and the last character of the first protocol's name; when one of them is neither letter nor
// digit, of the name in hexadecimal digits.
func (h *Hello) ja4Protocol(message []byte) (first, last byte) {
	protocols := Protocols(h.Protocols.In(message))
	if len(protocols) == 0 {
		return '0', '0'
	}
	name, _ := protocols.Next()
	first, last = name[0], name[len(name)-1]
	if !alphanumeric(first) || !alphanumeric(last) {
		return hexDigits[first>>4], hexDigits[last&15]
	}
	return first, last
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
