package record

import "github.com/uringproxy/uringproxy/tls/alert"

// Refusal says why nothing was sealed.
type Refusal uint8

const (
	Sealed Refusal = iota // nothing was refused
	NoRoom                // there is too little room for what has to be written
	Ended                 // an alert was the last word of this direction
	Spent                 // no sequence number is left, or the next key could not be made: close the connection
)

func (r Refusal) String() string { return [...]string{"sealed", "no room", "ended", "spent"}[r] }

const (
	// smallRecord is what a record holds at first. With all around it, it fits one segment over IPv6 with timestamps
	// (1,428 bytes) and leaves 30 for a tunnel, so that the receiver can open it when the segment arrives.
	smallRecord = 1369
	// bulkAfter is how many bytes go out in small records before the connection counts as bulk, and records are as
	// large as can be.
	bulkAfter = 128 << 10
	// idleAfter is how long, in nanoseconds, a connection sends nothing until it counts as new: the congestion window
	// will have shrunk.
	idleAfter = 1_000_000_000
)

// keyRecords is how many records we seal with one key of TLS 1.3: for AES-GCM RFC 8446, section 5.5, allows 2^24.5.
// ChaCha20-Poly1305 has no such limit, and loses nothing by one rule for all.
const keyRecords = 1 << 24

// Seal makes records of the data b[from:to], in place, and returns where they begin and end in b. Everything before
// from and behind to, up to b's capacity, must be the caller's to overwrite: Room bytes before, Tailroom behind.
// Data for several records is moved towards the front, to make room between them. now is the caller's clock, in
// nanoseconds.
func (l *Layer) Seal(b []byte, from, to int, now int64) (start, end int, refusal Refusal) {
	if from == to {
		return from, to, Sealed
	}
	if refusal := l.refuse(to - from); refusal != Sealed {
		return 0, 0, refusal
	}
	before := l.Room(to-from, now)
	if before > from || cap(b) < to+l.write.form.after() {
		return 0, 0, NoRoom
	}
	b = b[:cap(b)]
	start = from - before
	end = start
	if l.due() {
		var ok bool
		if end, ok = l.updateWrite(b, start); !ok {
			return 0, 0, Spent
		}
	}
	for from < to {
		n := min(l.limit(), to-from)
		at := end + l.write.form.before()
		if at != from {
			copy(b[at:], b[from:from+n])
		}
		_, end = l.write.seal(b, at, n, typeData)
		from += n
		l.sent += int64(n)
	}
	return start, end, Sealed
}

// SealTo seals the data in spans, in order, and appends the records to dst, within its capacity: took is how many bytes
// of data were sealed, from the front. It refuses with NoRoom when not one byte of data would fit. dst must not overlap
// the spans, which are only read.
func (l *Layer) SealTo(dst []byte, spans [][]byte, now int64) (out []byte, took int, refusal Refusal) {
	left := 0
	for _, s := range spans {
		left += len(s)
	}
	if left == 0 {
		return dst, 0, Sealed
	}
	if refusal := l.refuse(min(left, cap(dst))); refusal != Sealed {
		return dst, 0, refusal
	}
	l.tick(now)
	b, end := dst[:cap(dst)], len(dst)
	around := l.write.form.before() + l.write.form.after()
	if l.dueLen()+around >= len(b)-end {
		return dst, 0, NoRoom
	}
	if l.due() {
		var ok bool
		if end, ok = l.updateWrite(b, end); !ok {
			return dst, 0, Spent
		}
	}
	span, off := 0, 0
	for took < left {
		n := min(l.limit(), left-took, len(b)-end-around)
		if n <= 0 {
			break
		}
		at := end + l.write.form.before()
		for filled := 0; filled < n; {
			moved := copy(b[at+filled:at+n], spans[span][off:])
			filled, off = filled+moved, off+moved
			if off == len(spans[span]) {
				span, off = span+1, 0
			}
		}
		_, end = l.write.seal(b, at, n, typeData)
		took += n
		l.sent += int64(n)
	}
	return b[:end], took, Sealed
}

// Alert appends an alert to dst, which must have ControlRoom bytes of capacity left. It is the last record: what comes
// afterwards is refused, and a second alert is not appended. With alert.CloseNotify the peer is told that all data has
// been sent; reading may go on.
func (l *Layer) Alert(dst []byte, a alert.Alert) []byte {
	if l.ended || l.write.spent(1) {
		return dst
	}
	l.ended = true
	at := len(dst) + l.write.form.before()
	b := dst[:len(dst)+ControlRoom]
	b[at], b[at+1] = a.Level(), byte(a)
	_, end := l.write.seal(b, at, 2, typeAlert)
	return b[:end]
}

// Room is the number of bytes that Seal needs before n bytes of data: Headroom at most for a single record, and more
// when there will be several or a key update is due.
func (l *Layer) Room(n int, now int64) int {
	l.tick(now)
	records := 0
	for sent := l.sent; n > 0; records++ {
		took := min(n, limit(sent))
		sent += int64(took)
		n -= took
	}
	before, after := l.write.form.before(), l.write.form.after()
	return l.dueLen() + records*(before+after) - after
}

// Worn reports that the key has sealed as many records as it should, and that TLS 1.2 has no way to change it: the
// connection should end when that disturbs nobody.
func (l *Layer) Worn() bool { return l.write.form != form13 && l.write.seq >= keyRecords }

// refuse finds reasons not to seal n bytes of data. It counts a record for each, which costs a few thousand sequence
// numbers of 2^64.
func (l *Layer) refuse(n int) Refusal {
	if l.ended {
		return Ended
	}
	if l.write.spent(n + 2) { // and a key update, and an alert
		return Spent
	}
	return Sealed
}

// tick forgets a bulk transfer that is over.
func (l *Layer) tick(now int64) {
	if now-l.last >= idleAfter {
		l.sent = 0
	}
	l.last = now
}

func (l *Layer) limit() int { return limit(l.sent) }

// limit is how much data a record gets after sent bytes.
func limit(sent int64) int {
	if sent < bulkAfter {
		return smallRecord
	}
	return MaxPlaintext
}

// due reports whether our key must change before more data is sealed with it.
func (l *Layer) due() bool { return l.write.form == form13 && (l.owed || l.write.seq >= keyRecords) }

// updateLen is the length of a key update's record.
const updateLen = headerLen + 5 + typeLen + tagLen

func (l *Layer) dueLen() int {
	if l.due() {
		return updateLen
	}
	return 0
}

// updateWrite writes a key update to b[start:], which asks for none in return, and changes our key. It allocates.
func (l *Layer) updateWrite(b []byte, start int) (end int, ok bool) {
	at := start + headerLen
	b[at], b[at+1], b[at+2], b[at+3], b[at+4] = keyUpdate, 0, 0, 1, 0
	_, end = l.write.seal(b, at, 5, typeHandshake)
	l.owed = false
	if l.write.update() != nil {
		l.write.wipe()
		return 0, false
	}
	return end, true
}
