package proxy

import "time"

// httpDate formats the time as IMF-fixdate (RFC 9110, section 5.6.7), once a second.
type httpDate struct {
	second int64
	text   [len(dateLayout)]byte
}

const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

func (d *httpDate) append(b []byte, wall int64) []byte {
	if s := wall / 1e9; s != d.second {
		d.second = s
		time.Unix(s, 0).UTC().AppendFormat(d.text[:0], dateLayout)
	}
	return append(b, d.text[:]...)
}
