package h1

import "iter"

// protocolsMax bounds the protocols of all Upgrade fields of a head together: each is compared with every one that is
// allowed.
const protocolsMax = 32

const switching = 101

// upgrade judges the Upgrade fields of a head whose Connection names them (RFC 9110, section 7.8). In HTTP/1.0 they
// mean nothing. Neither do they in a response other than 101, where they tell what the server could speak.
func (p *Parser) upgrade(b []byte) Code {
	if p.Minor == 0 || p.response && p.Status != switching {
		return OK
	}
	n := 0
	for protocol := range p.protocols(b) {
		if n++; n > protocolsMax || !isProtocol(protocol) {
			return BadUpgrade
		}
	}
	p.Upgrade = n > 0
	return OK
}

// protocols yields the elements of the Upgrade fields that are not empty.
func (p *Parser) protocols(head []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		first, ok := p.Get(FieldUpgrade)
		if !ok {
			return
		}
		for i := first; i < p.N; i++ {
			if f := &p.Fields[i]; f.ID == FieldUpgrade {
				for protocol := range elements(f.Value.In(head)) {
					if !yield(protocol) {
						return
					}
				}
			}
		}
	}
}

// elements yields those of a list that are not empty; others are ignored (RFC 9110, section 5.6.1.2).
func elements(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for more := true; more; {
			var item []byte
			item, list, more = cutComma(list)
			if len(item) > 0 && !yield(item) {
				return
			}
		}
	}
}

// isProtocol reports whether b is a token, or two with a slash between them.
func isProtocol(b []byte) bool {
	i := scan(b, 0, isToken)
	if i == 0 || i == len(b) {
		return i > 0
	}
	return b[i] == '/' && i+1 < len(b) && scan(b, i+1, isToken) == len(b)
}

// nameOf is a protocol without its version.
func nameOf(protocol []byte) []byte { return protocol[:scan(protocol, 0, isToken)] }

// AppendUpgrade appends the protocols of head's Upgrade fields that allowed has, as they were written, with a comma
// between them. allowed holds names in lower case, which stand for every version of a protocol, or have a version
// themselves; "*" stands for all but those by which requests would go past the routes. head must be the one that was
// parsed, and not be edited yet.
func (p *Parser) AppendUpgrade(b, head []byte, allowed []string) []byte {
	if !p.Upgrade {
		return b
	}
	before := len(b)
	for protocol := range p.protocols(head) {
		if !isAllowed(protocol, allowed) {
			continue
		}
		if len(b) > before {
			b = append(b, ", "...)
		}
		b = append(b, protocol...)
	}
	return b
}

func isAllowed(protocol []byte, allowed []string) bool {
	name := nameOf(protocol)
	for _, a := range allowed {
		switch {
		case a == "*":
			if !carriesRequests(name) {
				return true
			}
		case sameName(name, a) || sameName(protocol, a):
			return true
		}
	}
	return false
}

// carriesRequests reports whether HTTP goes on behind the switch, plain or in TLS (RFC 2817): nobody would see these
// requests.
func carriesRequests(name []byte) bool {
	return sameName(name, "h2c") || sameName(name, "h2") || sameName(name, "http") || sameName(name, "tls")
}

// sameName reports whether b is name, which has no upper case, but for the case of its letters.
func sameName(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if lower(c) != name[i] {
			return false
		}
	}
	return true
}

// OffersWebSocket reports whether WebSocket, in any version, is among protocols with commas between them.
func OffersWebSocket(protocols []byte) bool {
	for protocol := range elements(protocols) {
		if sameName(nameOf(protocol), webSocket) {
			return true
		}
	}
	return false
}

// Offer is what a request has offered to switch to.
type Offer struct {
	Protocols []byte // with commas between them, as they were sent; empty: none
	Key       []byte // of a WebSocket handshake, see Parser.WebSocketKey
	Complete  bool   // the request has been received whole
}

// Switched judges a response with the status 101 (RFC 9110, section 15.2.2): it must have been asked for, and name only
// protocols that were offered. A server that switches otherwise, or has not understood what it was asked, would read as
// requests what is a stream to the client, or the other way round. head must be the one that was parsed, and not be
// edited yet.
func (p *Parser) Switched(head []byte, o *Offer) Code {
	switch {
	case len(o.Protocols) == 0:
		return UnaskedSwitch
	case !o.Complete:
		return EarlySwitch
	case !p.Upgrade:
		return BadSwitch
	}
	for protocol := range p.protocols(head) {
		if !isListed(protocol, o.Protocols) {
			return UnofferedProtocol
		}
		if sameName(nameOf(protocol), webSocket) && !p.acceptsWebSocket(head, o.Key) {
			return BadWebSocketAccept
		}
	}
	return OK
}

// isListed reports whether list has the protocol, in the same version.
func isListed(protocol, list []byte) bool {
	for l := range elements(list) {
		if equalFold(l, protocol) {
			return true
		}
	}
	return false
}

// SwitchedTo is the name of the protocol that a response which Switched has found sound switches to; of several, the
// first. head must not be edited yet.
func (p *Parser) SwitchedTo(head []byte) []byte {
	for protocol := range p.protocols(head) {
		return nameOf(protocol)
	}
	return nil
}
