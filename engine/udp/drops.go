package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drops is how many datagrams the kernel has thrown away before anybody could receive them from fd, nearly always for
// want of room in its receive buffer. The number wraps around; ok is false where the kernel does not tell.
func Drops(fd int) (n uint32, ok bool) {
	var all [unix.SK_MEMINFO_VARS]uint32 // SO_MEMINFO
	size := uint32(unsafe.Sizeof(all))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&size)), 0)
	return all[unix.SK_MEMINFO_DROPS], errno == 0 && size == uint32(unsafe.Sizeof(all))
}
