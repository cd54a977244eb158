package epoll

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/engine"
)

// Unacked implements engine.Backend.
func (b *Backend) Unacked(c *engine.Conn) int {
	b.count.Syscalls++
	return engine.Unacked(c)
}

// AckNow implements engine.Backend.
func (b *Backend) AckNow(c *engine.Conn) {
	b.count.Syscalls++
	engine.AckNow(c)
}

// Local implements engine.Backend.
func (b *Backend) Local(c *engine.Conn) netip.AddrPort {
	b.count.Syscalls++
	return engine.Local(c)
}

// Gone implements engine.Backend.
func (b *Backend) Gone(c *engine.Conn) bool {
	b.count.Syscalls++
	return engine.Gone(c)
}
