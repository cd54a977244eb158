package probe

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withEpoll runs fn with an epoll set and a connected pair of sockets.
func withEpoll(fn func(epfd int, pair [2]int) error) error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return absentIf(fmt.Errorf("create epoll set: %w", err), unix.ENOSYS)
	}
	defer unix.Close(epfd)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("create socket pair: %w", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	return fn(epfd, pair)
}

// ready waits not at all and returns the events of the only registered socket.
func ready(epfd, fd int, events uint32) (uint32, error) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return 0, fmt.Errorf("add to epoll set: %w", err)
	}
	var out [1]unix.EpollEvent
	n, err := unix.EpollWait(epfd, out[:], 0)
	if err != nil || n == 0 {
		return 0, err
	}
	return out[0].Events, nil
}

func probeEpoll(*prober) error {
	return withEpoll(func(epfd int, pair [2]int) error {
		events, err := ready(epfd, pair[0], unix.EPOLLOUT|unix.EPOLLET)
		if err != nil {
			return err
		}
		if events&unix.EPOLLOUT == 0 {
			return absent{errors.New("a writable socket is not reported as such")}
		}
		return nil
	})
}

func probeRDHUP(*prober) error {
	return withEpoll(func(epfd int, pair [2]int) error {
		if err := unix.Shutdown(pair[1], unix.SHUT_WR); err != nil {
			return fmt.Errorf("shut down: %w", err)
		}
		events, err := ready(epfd, pair[0], unix.EPOLLRDHUP|unix.EPOLLET)
		if err != nil {
			return err
		}
		if events&unix.EPOLLRDHUP == 0 {
			return absent{errors.New("a half-closed socket is not reported as such")}
		}
		return nil
	})
}

func probePwait2(*prober) error {
	return withEpoll(func(epfd int, _ [2]int) error {
		var out [1]unix.EpollEvent
		var now unix.Timespec
		_, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epfd), uintptr(unsafe.Pointer(&out)), 1,
			uintptr(unsafe.Pointer(&now)), 0, 0)
		if errno != 0 {
			return absentIf(fmt.Errorf("epoll_pwait2: %w", errno), unix.ENOSYS)
		}
		return nil
	})
}

func probeEventFD(*prober) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return absentIf(fmt.Errorf("create eventfd: %w", err), unix.ENOSYS)
	}
	return unix.Close(fd)
}

func probeReusePort(*prober) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	defer unix.Close(fd)
	return absentIf(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.ENOPROTOOPT)
}

// probeUDP tries an option of UDP sockets.
func probeUDP(option int) func(*prober) error {
	return func(*prober) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("create socket: %w", err)
		}
		defer unix.Close(fd)
		return absentIf(unix.SetsockoptInt(fd, unix.IPPROTO_UDP, option, 1), unix.ENOPROTOOPT)
	}
}
