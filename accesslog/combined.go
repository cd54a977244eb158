package accesslog

import "strconv"

// appendCombined appends rec in the combined log format:
//
//	address - - [time] "METHOD target HTTP/1.x" status bytes "referer" "user agent"
//
// What is absent is "-". The address comes without its port. The protocol of what is no exchange stands where HTTP's
// does.
func (e *encoder) appendCombined(dst []byte, rec *Record) []byte {
	dst = appendClient(dst, rec.Client, false)
	dst = e.clock.appendCLF(append(dst, " - - "...), rec.Time)
	dst = append(dst, ` "`...)
	dst = appendClipped(dst, rec.Method, maxToken)
	switch {
	case len(rec.Protocol) > 0:
		dst = appendClipped(append(dst, ' '), rec.Target, maxTarget)
		dst = appendClipped(append(dst, ' '), rec.Protocol, maxToken)
	case len(rec.Method) > 0:
		dst = append(appendClipped(append(dst, ' '), rec.Target, maxTarget), " HTTP/1."...)
		dst = strconv.AppendUint(dst, uint64(rec.Minor), 10)
	}
	dst = append(dst, `" `...)
	dst = appendNumber(dst, int64(rec.Status))
	dst = append(dst, ' ')
	dst = appendNumber(dst, rec.BytesOut)
	dst = append(dst, ` "`...)
	dst = appendClipped(dst, rec.Referer, maxReferer)
	dst = append(dst, `" "`...)
	dst = appendClipped(dst, rec.UserAgent, maxAgent)
	return append(dst, "\"\n"...)
}

// appendNumber appends v; "-" for zero, as Apache does.
func appendNumber(dst []byte, v int64) []byte {
	if v == 0 {
		return append(dst, '-')
	}
	return strconv.AppendInt(dst, v, 10)
}

func appendClipped(dst, s []byte, limit int) []byte {
	switch {
	case len(s) == 0:
		return append(dst, '-')
	case len(s) > limit:
		return append(appendHexed(dst, cut(s, limit)), "..."...)
	}
	return appendHexed(dst, s)
}

// appendHexed appends s as Apache httpd escapes a quoted field: \" and \\, \n, \r and \t, and \xhh for every
// other byte that is not printable ASCII. No byte is lost.
func appendHexed(dst, s []byte) []byte {
	for {
		n := plainPrefix(s)
		dst, s = append(dst, s[:n]...), s[n:]
		if len(s) == 0 {
			return dst
		}
		switch c := s[0]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
		}
		s = s[1:]
	}
}
