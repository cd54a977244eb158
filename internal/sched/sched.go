// Package sched is what threads that share a core with others tell the kernel's scheduler: how much of it they want at
// once, and when others may have it.
//
// It imports golang.org/x/sys/unix only, and whoever has a thread of its own may import it. What the kernel does not
// know or does not allow is left out silently: everything works without, and others wait longer.
package sched

import "golang.org/x/sys/unix"

// slice is the time that a thread asks for at once. 0.1 ms is the least that the kernel takes.
const slice = 100_000 // nanoseconds

// ShortSlices asks for short slices for the calling thread, which must be locked. From Linux 6.12 on such a thread goes
// before others when it wakes up, and gives up little when it yields, for the same share of the time in all.
func ShortSlices() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = slice
	_ = unix.SchedSetAttr(0, attr, 0)
}

// Yield gives up what is left of the calling thread's slice: whoever else wants the core has it now, and gets it at
// once when it wakes up soon (Linux 6.18; before, it only has a better claim). It takes less than a microsecond where
// nobody does. A long slice is much to give up: without ShortSlices a thread that yields often gets next to nothing of
// a full core.
func Yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
