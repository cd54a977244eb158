package accesslog

import "time"

const (
	isoLayout = "2006-01-02T15:04:05."
	clfLayout = "[02/Jan/2006:15:04:05 +0000]"
)

// clock formats points in time. Turning seconds into a date costs more than the rest of a line, and most lines
// share their second with others, so the last few are kept.
type clock struct {
	seconds [4]second
}

type second struct {
	unix int64
	set  bool
	iso  [len(isoLayout)]byte
	clf  [len(clfLayout)]byte
}

// at is the formatted second that ns, nanoseconds since 1970, lies in, and the nanoseconds within it.
func (c *clock) at(ns int64) (s *second, rest int64) {
	unix, rest := ns/1e9, ns%1e9
	if rest < 0 {
		unix, rest = unix-1, rest+1e9
	}
	s = &c.seconds[unix&3]
	if s.unix != unix || !s.set {
		t := time.Unix(unix, 0).UTC()
		t.AppendFormat(s.iso[:0], isoLayout)
		t.AppendFormat(s.clf[:0], clfLayout)
		s.unix, s.set = unix, true
	}
	return s, rest
}

// appendISO appends ns in RFC 3339 with milliseconds.
func (c *clock) appendISO(dst []byte, ns int64) []byte {
	s, rest := c.at(ns)
	dst = append(dst, s.iso[:]...)
	return append(appendThree(dst, uint64(rest)/1e6), 'Z')
}

// appendCLF appends ns as the common log format writes it, brackets included.
func (c *clock) appendCLF(dst []byte, ns int64) []byte {
	s, _ := c.at(ns)
	return append(dst, s.clf[:]...)
}

// appendThree appends v, less than 1000, with leading zeros.
func appendThree(dst []byte, v uint64) []byte {
	return append(dst, '0'+byte(v/100), '0'+byte(v/10%10), '0'+byte(v%10))
}
