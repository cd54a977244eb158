package record

import "github.com/uringproxy/uringproxy/tls/alert"

// Types of handshake messages (RFC 8446, appendix B.3).
const (
	helloRequest     = 0 // TLS 1.2
	clientHello      = 1
	newSessionTicket = 4
	keyUpdate        = 24
)

// maxTicket is the length of a NewSessionTicket with each of its fields as long as can be (RFC 8446, section 4.6.1).
const maxTicket = 4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65534

// message is a handshake message on its way, which may come in several records. Its content is not kept: a ticket is
// skipped, and a key update has one byte.
type message struct {
	header [4]byte
	have   uint8  // bytes of the header that have come
	left   uint32 // bytes of the body that have not
}

func (m *message) begun() bool { return m.have > 0 }

// handshake judges what comes in handshake records after the handshake.
func (l *Layer) handshake(p []byte) alert.Alert {
	if len(p) == 0 {
		return alert.UnexpectedMessage // RFC 8446, section 5.1
	}
	if l.read.form != form13 {
		return l.renegotiation(p[0])
	}
	m := &l.message
	for len(p) > 0 {
		if m.have < 4 {
			m.header[m.have] = p[0]
			m.have++
			p = p[1:]
			if m.have == 4 {
				if fault := m.begin(l.client); fault != none {
					return fault
				}
			}
			continue
		}
		n := min(len(p), int(m.left))
		body := p[:n]
		p = p[n:]
		if m.left -= uint32(n); m.left > 0 {
			continue
		}
		typ := m.header[0]
		*m = message{}
		if typ == keyUpdate {
			return l.updateRead(body[0], len(p))
		}
	}
	return none
}

// begin judges a message by its header, which is complete.
func (m *message) begin(client bool) alert.Alert {
	m.left = uint32(m.header[1])<<16 | uint32(m.header[2])<<8 | uint32(m.header[3])
	switch typ := m.header[0]; {
	case typ == keyUpdate && m.left == 1:
		return none
	case typ == newSessionTicket && client && m.left > 0 && m.left <= maxTicket:
		return none
	case typ == keyUpdate, typ == newSessionTicket && client:
		return alert.DecodeError
	}
	return alert.UnexpectedMessage
}

// updateRead obeys a KeyUpdate, behind which behind bytes came in the same record (RFC 8446, section 4.6.3). A
// request is answered before our next data and not at once, so that a peer that asks again and again gets one
// answer.
func (l *Layer) updateRead(request byte, behind int) alert.Alert {
	if request > 1 {
		return alert.IllegalParameter
	}
	if behind > 0 {
		return alert.UnexpectedMessage // section 5.1: a message before a change of keys ends its record
	}
	if err := l.read.update(); err != nil {
		return alert.InternalError
	}
	l.owed = l.owed || request == 1
	return none
}

// renegotiation refuses the one handshake that TLS 1.2 could begin now (RFC 5246, section 7.2.2).
func (l *Layer) renegotiation(typ byte) alert.Alert {
	if l.client && typ == helloRequest || !l.client && typ == clientHello {
		return alert.NoRenegotiation
	}
	return alert.UnexpectedMessage
}
