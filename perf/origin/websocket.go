package origin

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

// Of frames (RFC 6455, section 5.2).
const (
	frameFin    = 0x80
	frameCode   = 0x0f
	frameClose  = 0x8
	framePing   = 0x9
	framePong   = 0xa
	frameMasked = 0x80
	frameMedium = 126 // two bytes of length follow,
	frameLarge  = 127 // or eight
	maskBytes   = 4
	// frameBytes is the longest frame that is read; it is kept until it is whole.
	frameBytes = headBytes / 2
)

// acceptSalt is what is behind a client's key when it is hashed (RFC 6455, section 1.3).
const acceptSalt = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// upgrade makes a WebSocket of a connection.
func (o *Origin) upgrade(c *conn, r *request) {
	key, switched := []byte(nil), false
	for rest := r.fields; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Key")):
			key = value
		case bytes.EqualFold(name, []byte("Upgrade")):
			switched = bytes.EqualFold(value, []byte("websocket"))
		}
	}
	if len(key) == 0 || !switched {
		o.refuse(c)
		return
	}
	hash := sha1.Sum(append(bytes.Clone(key), acceptSalt...))
	o.out = append(o.out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	o.out = append(base64.StdEncoding.AppendEncode(o.out, hash[:]), "\r\n\r\n"...)
	c.upgraded = true
}

// readFrame sends a frame back, without its mask: a ping as a pong, a close as the last one. It returns its length; 0
// when it is not whole.
func (o *Origin) readFrame(c *conn, b []byte) int {
	if len(b) < 2 {
		return 0
	}
	code, length, at := b[0]&frameCode, int(b[1]&^frameMasked), 2
	switch {
	case b[1]&frameMasked == 0 || length == frameLarge: // RFC 6455, section 5.1
		o.close(c)
		return len(b)
	case length == frameMedium:
		if len(b) < at+2 {
			return 0
		}
		length = int(binary.BigEndian.Uint16(b[at:]))
		at += 2
	}
	if at+maskBytes+length > frameBytes {
		o.close(c)
		return len(b)
	}
	if len(b) < at+maskBytes+length {
		return 0
	}
	if code == framePing {
		code = framePong
	}
	o.out = append(o.out, b[0]&frameFin|code, b[1]&^frameMasked)
	o.out = append(o.out, b[2:at]...)
	mask, payload := b[at:at+maskBytes], b[at+maskBytes:][:length]
	out := len(o.out)
	o.out = append(o.out, payload...)
	unmask(o.out[out:], mask)
	c.finishing = code == frameClose
	return at + maskBytes + length
}

// unmask takes a mask off (RFC 6455, section 5.3), eight bytes at a time.
func unmask(b, mask []byte) {
	wide := uint64(binary.LittleEndian.Uint32(mask)) * (1<<32 + 1)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= mask[i%maskBytes]
	}
}
