package uring

import "github.com/uringproxy/uringproxy/engine"

// Unacked implements engine.Backend.
func (b *Backend) Unacked(c *engine.Conn) int {
	b.count.Syscalls++
	return engine.Unacked(c)
}
