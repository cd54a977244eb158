package load

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// UpgradePath is where the upstream makes a WebSocket of a connection, and sends back the messages that come on it.
const UpgradePath = "/websocket"

// The key of every handshake, and what a server makes of it (RFC 6455, section 1.3).
const (
	upgradeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

var errUpgrade = errors.New("not what a WebSocket begins with")

// upgrade asks for a WebSocket.
func (g *Generator) upgrade(c *conn) {
	c.state = upgrading
	text := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", UpgradePath, g.cfg.Host, upgradeKey)
	if _, err := unix.Write(c.fd, text); err != nil { // a socket without output has room for it
		g.ended(c, err)
	}
}

// upgraded takes in the answer to that. Nothing may follow it: the upstream speaks when it is spoken to.
func (g *Generator) upgraded(c *conn, b []byte) {
	c.partial = append(c.partial, b...)
	end := bytes.Index(c.partial, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(c.partial) < headBytes:
		return
	case end < 0 || end+4 < len(c.partial) || !agreed(c.partial[:end]):
		g.ended(c, fmt.Errorf("%w: %.80q", errUpgrade, c.partial))
		return
	}
	c.partial = c.partial[:0]
	g.ready(c)
}

// agreed reports whether a response says that the connection is a WebSocket from here on (RFC 6455, section 4.1).
func agreed(head []byte) bool {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 101")) {
		return false
	}
	upgrade, connection, accept := false, false, false
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Upgrade")):
			upgrade = bytes.EqualFold(value, []byte("websocket"))
		case bytes.EqualFold(name, []byte("Connection")):
			connection = bytes.EqualFold(value, []byte("upgrade"))
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Accept")):
			accept = string(value) == upgradeAccept
		}
	}
	return upgrade && connection && accept
}
