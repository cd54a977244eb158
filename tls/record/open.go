package record

import "github.com/uringproxy/uringproxy/tls/alert"

// Kind says what Open made of the bytes it was given.
type Kind uint8

const (
	NeedMore  Kind = iota // the record is not complete: Need bytes are needed, nothing was taken
	Data                  // plaintext: Off, Len
	Quiet                 // a record that has nothing for the caller, such as a key update or a ticket
	Closed                // close_notify: the peer will send no more; what follows is ignored. Final
	PeerAlert             // the peer ended the connection with Alert. Final
	Fault                 // the peer broke the rules: send Alert and close. Final
)

func (k Kind) String() string {
	return [...]string{"need more", "data", "quiet", "closed", "peer alert", "fault"}[k]
}

// Result is Open's answer.
type Result struct {
	Kind  Kind
	Alert alert.Alert // PeerAlert: what it said. Fault: what to tell it
	N     int         // bytes that are done with, at the front of what was given
	Need  int         // NeedMore: how many bytes must be given, from the same one on. More may be needed then
	Off   int         // Data: where the plaintext begins in what was given
	Len   int         // Data: its length, at least 1
}

// idleRecords is how many records without data may come in a row: they cost us work and the peer nothing. It leaves
// room for a server that sends its tickets one by one, and for one that sends long tickets in short records.
const idleRecords = 32

// Open takes the record that b begins with, b being the bytes as received. It writes to that record's bytes only.
// See the package comment for what to do when the record is not complete.
func (l *Layer) Open(b []byte) Result {
	if l.final != NeedMore {
		r := Result{Kind: l.final, Alert: l.why}
		if l.final == Closed {
			r.N = len(b)
		}
		return r
	}
	if len(b) < headerLen {
		return Result{Kind: NeedMore, Need: headerLen}
	}
	if fault := l.read.admit(b); fault != none {
		return l.fail(fault)
	}
	whole := headerLen + bodyLen(b)
	if len(b) < whole {
		return Result{Kind: NeedMore, Need: whole}
	}
	at, n, typ, fault := l.read.open(b[:whole:whole])
	if fault != none {
		return l.fail(fault)
	}
	r := l.judge(typ, b[at:at+n])
	switch r.Kind {
	case Data:
		l.idle = 0
		r.Off, r.Len = at, n
	case Quiet:
		if l.idle++; l.idle > idleRecords {
			return l.fail(alert.UnexpectedMessage)
		}
	default:
		l.final, l.why = r.Kind, r.Alert
	}
	r.N = whole
	return r
}

// judge decides what a record's plaintext means.
func (l *Layer) judge(typ contentType, p []byte) Result {
	if l.message.begun() && typ != typeHandshake {
		return Result{Kind: Fault, Alert: alert.UnexpectedMessage} // RFC 8446, section 5.1: no interleaving
	}
	switch typ {
	case typeData:
		if len(p) == 0 {
			return Result{Kind: Quiet}
		}
		return Result{Kind: Data}
	case typeAlert:
		return l.alerted(p)
	case typeHandshake:
		if fault := l.handshake(p); fault != none {
			return Result{Kind: Fault, Alert: fault}
		}
		return Result{Kind: Quiet}
	}
	return Result{Kind: Fault, Alert: alert.UnexpectedMessage}
}

// alerted judges an alert. TLS 1.3 knows two that are no error (RFC 8446, section 6.1) and ignores the level; TLS 1.2
// may warn, which we note by doing nothing (RFC 5246, section 7.2.2).
func (l *Layer) alerted(p []byte) Result {
	if len(p) != 2 {
		return Result{Kind: Fault, Alert: alert.DecodeError}
	}
	level, a := p[0], alert.Alert(p[1])
	switch {
	case a == alert.CloseNotify:
		return Result{Kind: Closed}
	case l.read.form == form13 && a == alert.UserCanceled, l.read.form != form13 && level == alert.Warning:
		return Result{Kind: Quiet}
	case l.read.form != form13 && level != alert.Fatal:
		return Result{Kind: Fault, Alert: alert.IllegalParameter}
	}
	return Result{Kind: PeerAlert, Alert: a}
}

// fail makes a fault of ours final.
func (l *Layer) fail(a alert.Alert) Result {
	l.final, l.why = Fault, a
	return Result{Kind: Fault, Alert: a}
}
