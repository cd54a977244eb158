package epoll

import "github.com/uringproxy/uringproxy/engine"

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
