package hello

import "github.com/uringproxy/uringproxy/internal/invariant"

const (
	// MaxMessage is the largest number of bytes a ClientHello may have, with the four of its own header: as many as one
	// record holds (RFC 8446, section 5.1).
	MaxMessage = 1 << 14
	// MaxStream is the largest number of bytes a ClientHello's records may take. A stream of so many bytes that does
	// not hold a complete hello never will.
	MaxStream = recordHeader + MaxMessage

	recordHeader  = 5
	messageHeader = 4
)

// Types of records and messages (RFC 8446, sections 5.1 and 4).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplicationData  = 23
	typeHeartbeat        = 24

	typeClientHello = 1
)

// Scanner finds the ClientHello that a connection begins with. The zero value is ready. It holds no pointers.
type Scanner struct {
	pos     int32  // the record that is read begins here; after OK, where the last one ends
	got     int32  // bytes of the message in the records before pos
	size    int32  // of the message with its header; not yet that when sized says no
	records uint16 // complete ones before pos
	headed  uint8  // bytes of the message's header that were seen
	code    Code
}

// Feed goes on with stream: all bytes received so far on the connection, of which those of the last call are the same.
// Bytes behind the hello's records do no harm. The answer is NeedMore, OK, or the fault; after the last two it is
// final. Each byte is looked at a bounded number of times however slowly they come.
func (s *Scanner) Feed(stream []byte) Code {
	if s.code != NeedMore {
		return s.code
	}
	if invariant.Enabled && len(stream) < int(s.pos) {
		invariant.Fail("stream of %d bytes, of which %d were scanned before", len(stream), s.pos)
	}
	stream = stream[:min(len(stream), MaxStream)]
	for s.code == NeedMore {
		before := s.pos
		s.code = s.record(stream[before:])
		if s.pos == before {
			break
		}
	}
	if s.code == NeedMore && len(stream) == MaxStream {
		s.code = HelloTooLarge
	}
	return s.code
}

// record reads the record that b begins with. When it is complete, pos goes behind it.
func (s *Scanner) record(b []byte) Code {
	n, code := s.header(b)
	if code != OK {
		return code
	}
	end := recordHeader + n
	if code := s.message(b[recordHeader:min(end, len(b))], n); code != OK {
		return code
	}
	if len(b) < end {
		return NeedMore
	}
	s.pos += int32(end)
	s.got += int32(n)
	s.records++
	if s.sized() && s.got == s.size {
		return OK
	}
	return NeedMore
}

// header reads a record's header, each byte as it comes: n is the length of the record's content.
func (s *Scanner) header(b []byte) (n int, code Code) {
	switch {
	case len(b) == 0:
		return 0, NeedMore
	case b[0] != typeHandshake && s.records > 0:
		return 0, Interleaved
	case b[0] != typeHandshake:
		return 0, otherwise(b)
	case len(b) == 1:
		return 0, NeedMore
	case b[1] != 3: // The minor version means nothing (RFC 5246, appendix E.1; RFC 8446, section 5.1).
		return 0, BadRecordVersion
	case len(b) < recordHeader:
		return 0, NeedMore
	}
	n = int(b[3])<<8 | int(b[4])
	switch {
	case n == 0:
		return 0, EmptyRecord
	case n > MaxMessage:
		return 0, RecordTooLarge
	case s.sized() && int(s.got)+n > int(s.size):
		return 0, TrailingBytes
	case int(s.pos)+recordHeader+n > MaxStream:
		return 0, HelloTooLarge
	}
	return n, OK
}

// message reads what part of the message's header is in a record's content of n bytes, of which b has come. It is asked
// again when more has.
func (s *Scanner) message(b []byte, n int) Code {
	for s.headed < messageHeader {
		at := int(s.headed) - int(s.got)
		if at >= len(b) {
			return OK
		}
		if s.headed > 0 {
			s.size = s.size<<8 | int32(b[at])
		} else if b[at] != typeClientHello {
			return NotHello
		}
		s.headed++
		if !s.sized() {
			continue
		}
		if s.size += messageHeader; s.size > MaxMessage {
			return HelloTooLarge
		}
		if int(s.got)+n > int(s.size) {
			return TrailingBytes
		}
	}
	return OK
}

// sized reports whether the message's size is known.
func (s *Scanner) sized() bool { return s.headed == messageHeader }

// Scratch is how many bytes Message needs of another buffer: none when the hello came in one record.
func (s *Scanner) Scratch() int {
	if s.records == 1 {
		return 0
	}
	return int(s.size)
}

// Len is how many bytes of the stream the hello's records take, after Feed said OK.
func (s *Scanner) Len() int { return int(s.pos) }

// Message is the hello without its records' headers, after Feed said OK of the same stream: a part of stream when it
// came in one record, as it nearly always does, else gathered in scratch, which has at least Scratch bytes.
func (s *Scanner) Message(stream, scratch []byte) []byte {
	if invariant.Enabled && (s.code != OK || len(stream) < s.Len() || len(scratch) < s.Scratch()) {
		invariant.Fail("message of %d bytes of stream, %d of scratch, after %v", len(stream), len(scratch), s.code)
	}
	if s.records == 1 {
		return stream[recordHeader:s.pos:s.pos]
	}
	n := 0
	for pos := 0; pos < s.Len(); {
		end := pos + recordHeader + int(stream[pos+3])<<8 + int(stream[pos+4])
		n += copy(scratch[n:s.size], stream[pos+recordHeader:end])
		pos = end
	}
	return scratch[:n:n]
}
