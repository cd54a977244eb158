package load

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// soon is a wait that is not worth going to sleep.
const soon = 5 * time.Microsecond

// wait handles what arrives, or returns when d has passed, which is longestWait at most.
func (g *Generator) wait(d time.Duration) error {
	select {
	case <-g.cfg.Stop:
		return ErrStopped
	default:
	}
	n, err := g.poll(d)
	if err != nil {
		return fmt.Errorf("wait for events: %w", err)
	}
	for i := range g.events[:n] {
		e := &g.events[i]
		if c := &g.conns[e.Fd]; c.generation == e.Pad && c.fd >= 0 {
			g.handle(c, e.Events)
		}
		if !g.closedLoop {
			g.dispatch()
		}
	}
	if g.down > 0 {
		if g.clock = g.now(); g.clock >= g.retryAt {
			g.reopenDown()
		}
	}
	return nil
}

// poll takes events. Unlike with epoll_wait, the time limit is not in milliseconds.
func (g *Generator) poll(d time.Duration) (int, error) {
	if d <= soon {
		d = 0
	}
	limit := unix.NsecToTimespec(int64(d))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(g.epoll), uintptr(unsafe.Pointer(&g.events[0])),
		uintptr(len(g.events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// sharpTimers has the kernel wake the thread when a wait is over, and not a little later together with others.
func sharpTimers(on bool) error {
	slack := uintptr(0) // the default
	if on {
		slack = 1
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	return nil
}
