package probe

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/epoll"
	"github.com/uringproxy/uringproxy/engine/uring"
)

func openEpoll() engine.Backend { return epoll.New() }

// openUring makes backends with the options that the server uses: the self-test must meet the same limits.
func openUring(t Tier) func() engine.Backend {
	return func() engine.Backend { return uring.New(uring.Options{Tier: t.String()}) }
}
