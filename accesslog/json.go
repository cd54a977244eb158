package accesslog

import (
	"net/netip"
	"strconv"
	"unicode/utf8"

	"github.com/uringproxy/uringproxy/metrics"
)

// appendJSON appends rec as an object on one line. The members up to "duration" are always there, but for
// the numbers of datagrams.
func (e *encoder) appendJSON(dst []byte, rec *Record) []byte {
	dst = e.clock.appendISO(append(dst, `{"time":"`...), rec.Time)
	dst = appendClient(append(dst, `","client":"`...), rec.Client, true)
	dst = append(dst, '"')
	dst = appendText(dst, `,"method":"`, rec.Method, maxToken)
	dst = appendText(dst, `,"scheme":"`, view(rec.Scheme), maxToken)
	dst = appendText(dst, `,"host":"`, rec.Host, maxName)
	dst = appendText(dst, `,"path":"`, rec.Target, maxTarget)
	dst = appendProtocol(dst, rec)
	dst = strconv.AppendUint(append(dst, `,"status":`...), uint64(rec.Status), 10)
	dst = strconv.AppendInt(append(dst, `,"bytes_in":`...), rec.BytesIn, 10)
	dst = strconv.AppendInt(append(dst, `,"bytes_out":`...), rec.BytesOut, 10)
	if rec.DatagramsIn|rec.DatagramsOut != 0 {
		dst = strconv.AppendInt(append(dst, `,"datagrams_in":`...), rec.DatagramsIn, 10)
		dst = strconv.AppendInt(append(dst, `,"datagrams_out":`...), rec.DatagramsOut, 10)
	}
	dst = appendSeconds(dst, `,"duration":`, max(rec.Duration, 0))
	dst = appendSeconds(dst, `,"upstream_duration":`, rec.Upstream)
	dst = appendSeconds(dst, `,"first_byte":`, rec.FirstByte)
	dst = appendSeconds(dst, `,"overhead":`, rec.Overhead)
	dst = appendOptional(dst, `,"route":"`, view(rec.Route), maxName)
	dst = appendOptional(dst, `,"service":"`, view(rec.Service), maxName)
	dst = appendOptional(dst, `,"endpoint":"`, view(rec.Endpoint), maxName)
	dst = appendOptional(dst, `,"request_id":"`, rec.RequestID, maxToken)
	dst = appendOptional(dst, `,"user_agent":"`, rec.UserAgent, maxAgent)
	dst = appendOptional(dst, `,"referer":"`, rec.Referer, maxReferer)
	dst = appendOptional(dst, `,"tls_version":"`, view(rec.TLSVersion), maxToken)
	dst = appendOptional(dst, `,"tls_suite":"`, view(rec.TLSSuite), maxToken)
	dst = appendOptional(dst, `,"sni":"`, view(rec.SNI), maxName)
	dst = appendOptional(dst, `,"client_cert":"`, rec.ClientCert, maxName)
	if rec.Resumed {
		dst = append(dst, `,"resumed":true`...)
	}
	if rec.ClientReused {
		dst = append(dst, `,"client_reused":true`...)
	}
	if rec.UpstreamReused {
		dst = append(dst, `,"upstream_reused":true`...)
	}
	if rec.Retries > 0 {
		dst = strconv.AppendUint(append(dst, `,"retries":`...), uint64(rec.Retries), 10)
	}
	if rec.Reason != metrics.None {
		dst = append(append(append(dst, `,"error":"`...), rec.Reason.Text()...), '"')
		dst = append(append(append(dst, `,"while":"`...), rec.Reason.While()...), '"')
	}
	dst = appendOptional(dst, `,"detail":"`, rec.Detail, maxName)
	return append(dst, "}\n"...)
}

// appendProtocol appends what is spoken: HTTP, unless rec says something else.
func appendProtocol(dst []byte, rec *Record) []byte {
	const key = `,"protocol":"`
	if len(rec.Protocol) > 0 {
		return appendText(dst, key, rec.Protocol, maxToken)
	}
	return append(strconv.AppendUint(append(dst, key+"HTTP/1."...), uint64(rec.Minor), 10), '"')
}

func appendOptional(dst []byte, key string, s []byte, limit int) []byte {
	if len(s) == 0 {
		return dst
	}
	return appendText(dst, key, s, limit)
}

func appendText(dst []byte, key string, s []byte, limit int) []byte {
	dst = append(dst, key...)
	if len(s) > limit {
		return append(appendEscaped(dst, cut(s, limit)), `..."`...)
	}
	return append(appendEscaped(dst, s), '"')
}

// appendSeconds appends ns nanoseconds as seconds with all nine decimals; nothing when negative.
func appendSeconds(dst []byte, key string, ns int64) []byte {
	if ns < 0 {
		return dst
	}
	dst = strconv.AppendInt(append(dst, key...), ns/1e9, 10)
	rest := uint64(ns % 1e9)
	dst = appendThree(append(dst, '.'), rest/1e6)
	dst = appendThree(dst, rest/1e3%1e3)
	return appendThree(dst, rest%1e3)
}

func appendClient(dst []byte, client netip.AddrPort, port bool) []byte {
	switch {
	case !client.IsValid():
		return append(dst, "unix"...)
	case port:
		return client.AppendTo(dst)
	}
	return client.Addr().AppendTo(dst)
}

// appendEscaped appends s as the inside of a JSON string (RFC 8259, section 7). Control characters are escaped, the
// C1 set and line separators too, since terminals and line readers act upon them. A byte that is not UTF-8
// becomes U+FFFD, as JSON has no way to carry it.
func appendEscaped(dst, s []byte) []byte {
	for {
		n := plainPrefix(s)
		dst, s = append(dst, s[:n]...), s[n:]
		if len(s) == 0 {
			return dst
		}
		r, size := utf8.DecodeRune(s)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case r < 0xa0 || r == '\u2028' || r == '\u2029':
			dst = append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
}

const hex = "0123456789abcdef"
