package epoll_test

import (
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/enginetest"
	"github.com/uringproxy/uringproxy/engine/epoll"
)

func TestSuite(t *testing.T) {
	enginetest.Run(t, enginetest.Kernel(func() engine.Backend { return epoll.New() }))
}
