package h1

import (
	"crypto/fips140"
	"crypto/sha1"
	"encoding/base64"
)

const (
	webSocket        = "websocket"
	webSocketKey     = "sec-websocket-key"
	webSocketVersion = "sec-websocket-version"
	webSocketAccept  = "sec-websocket-accept"

	keyBytes = 16
	keyText  = (keyBytes + 2) / 3 * 4
)

// WebSocket judges a request that offers to switch to WebSocket (RFC 6455, section 4.2.1), beyond what Feed has judged.
// What one server takes for a handshake and another for a plain request must not get to either. It has to be asked
// before the head is edited.
func (p *Parser) WebSocket(head []byte) Code {
	switch {
	case p.Method != GET:
		return WebSocketMethod
	case p.Chunked || p.ContentLength > 0:
		return WebSocketBody
	}
	if key, ok := p.only(head, webSocketKey); !ok || !isWebSocketKey(key) {
		return BadWebSocketKey
	}
	if version, ok := p.only(head, webSocketVersion); !ok || !isWebSocketVersion(version) {
		return BadWebSocketVersion
	}
	return OK
}

// only is the value of a field that a head has once, and that is forwarded. name is in lower case.
func (p *Parser) only(head []byte, name string) (value []byte, ok bool) {
	for i := range p.N {
		f := &p.Fields[i]
		if !sameName(f.Name.In(head), name) {
			continue
		}
		if ok || f.Flags&removed != 0 {
			return nil, false
		}
		value, ok = f.Value.In(head), true
	}
	return value, ok
}

// WebSocketKey is the key of a handshake that WebSocket has found sound, also when the head has been edited since.
func (p *Parser) WebSocketKey(head []byte) []byte {
	key, _ := p.only(head, webSocketKey)
	return key
}

// isWebSocketKey reports whether b is the base64 of 16 bytes. The bits that are left over in the last character may be
// set: RFC 4648, section 3.5 lets decoders take that.
func isWebSocketKey(b []byte) bool {
	if len(b) != keyText || b[keyText-1] != '=' || b[keyText-2] != '=' {
		return false
	}
	for _, c := range b[:keyText-2] {
		if class[c]&isAlnum == 0 && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

// isWebSocketVersion reports whether b is a number from 0 to 255 without leading zeros (RFC 6455, section 4.3). Which
// of them is spoken is for the server to say.
func isWebSocketVersion(b []byte) bool {
	if len(b) == 0 || len(b) > 3 || b[0] == '0' && len(b) > 1 {
		return false
	}
	n := 0
	for _, c := range b {
		if class[c]&isDigit == 0 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 255
}

// acceptsWebSocket reports whether a response has the one Sec-WebSocket-Accept that belongs to key (RFC 6455, section
// 4.2.2).
func (p *Parser) acceptsWebSocket(head, key []byte) bool {
	got, ok := p.only(head, webSocketAccept)
	var want [28]byte
	return ok && string(got) == string(acceptOf(&want, key))
}

// acceptOf writes the answer to a key. SHA-1 keeps no secret here, and proves nothing but that somebody has read RFC
// 6455, so that it is used where cryptography has to be approved, too.
func acceptOf(to *[28]byte, key []byte) []byte {
	var room [keyText + len(webSocketSalt)]byte
	text := append(append(room[:0], key...), webSocketSalt...)
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(text) })
	base64.StdEncoding.Encode(to[:], sum[:])
	return to[:]
}

const webSocketSalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
