// Package hugepage has the kernel hold the Go heap in pages of 2 MiB. In a structure of some hundred megabytes,
// nearly every access is to a page whose address is not at hand and has to be looked up, in a virtual machine twice;
// with large pages it is at hand. Where the kernel cannot or may not do it, nothing happens but that.
//
// It imports the standard library and golang.org/x/sys only, and is for the control plane: it takes some hundred
// milliseconds a gigabyte.
package hugepage

import (
	"bufio"
	"fmt"
	"os"
	"reflect"

	"golang.org/x/sys/unix"
)

// Size is that of a large page, in bytes.
const Size = 2 << 20

// Collapse moves the heap, as far as it is mapped now, into large pages (MADV_COLLAPSE, Linux 6.1; the setting in
// /sys/kernel/mm/transparent_hugepage/enabled does not matter to it). It returns how many of them there are then, and
// how many could not be made.
func Collapse() (made, failed int) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0, 0
	}
	defer maps.Close()
	somewhere := reflect.ValueOf(new([64 << 10]byte)).Pointer()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n != 2 || somewhere < from || to <= somewhere {
			continue
		}
		// The heap lies in one mapping, or in several that follow one another.
		return collapse(from, to)
	}
	return 0, 0
}

func collapse(from, to uintptr) (made, failed int) {
	for at := (from + Size - 1) &^ (Size - 1); at+Size <= to; at += Size {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, at, Size, unix.MADV_COLLAPSE); errno != 0 {
			failed++
			continue
		}
		made++
	}
	return made, failed
}
