package handshake

import (
	"net"
	"time"
)

// nowhere is what a net.Conn has besides bytes, for one without a socket. Who ends a conversation, and when, is its
// shard's affair.
type nowhere struct{}

func (nowhere) Close() error                     { return nil }
func (nowhere) LocalAddr() net.Addr              { return nowhere{} }
func (nowhere) RemoteAddr() net.Addr             { return nowhere{} }
func (nowhere) SetDeadline(time.Time) error      { return nil }
func (nowhere) SetReadDeadline(time.Time) error  { return nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

// Network and String make it a net.Addr too.
func (nowhere) Network() string { return "memory" }
func (nowhere) String() string  { return "" }
