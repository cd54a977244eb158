package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// userTick is the unit of processor times in /proc/PID/stat, whatever the kernel's own clock.
const userTick = 10 * time.Millisecond

// CPUTime is what all threads of a process and of its descendants have used so far, also those that have ended; of
// descendants that have ended and were waited for to 10 ms. A thread that runs just now is accounted up to the last
// tick of its core.
func CPUTime(pid int) (time.Duration, error) {
	sum, err := endedTime(pid)
	if err != nil {
		return 0, err
	}
	var now unix.Timespec
	if err := unix.ClockGettime(processClock(pid), &now); err != nil {
		return 0, fmt.Errorf("read processor time of process %d: %w", pid, err)
	}
	sum += time.Duration(now.Nano())
	for _, child := range children(pid) {
		t, err := CPUTime(child)
		if err != nil && exists(child) {
			return 0, err
		}
		sum += t // of one that has ended meanwhile it is 0
	}
	return sum, nil
}

// processClock is the clock of a process's processor time. The kernel has it as the complement of the id, with what is
// counted (2: as the scheduler does, in ns) in the last three bits.
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// exists reports whether there is a process that could be asked for something. One that has ended and was not waited
// for is none.
func exists(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.HasPrefix(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " Z")
}

// endedTime is what the children that a process has waited for had used.
func endedTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	// The name in brackets may contain anything; cutime and cstime are the 14th and 15th field after it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	var sum time.Duration
	for _, field := range fields[13:15] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
		}
		sum += time.Duration(ticks) * userTick
	}
	return sum, nil
}

// BusyTime is how long a core has not been idle since the machine was started, whoever used it; to 10 ms. Time that a
// virtual machine's host took away counts. Apart is the part of it that IRQApart is about.
func BusyTime(core int) (busy, apart time.Duration, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read times of cores: %w", err)
	}
	name := fmt.Sprintf("cpu%d", core)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != name {
			continue
		}
		for i, field := range fields[1:9] { // user, nice, system, idle, iowait, irq, softirq, steal
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("read times of core %d: %w", core, err)
			}
			if i != 3 && i != 4 {
				busy += time.Duration(ticks) * userTick
			}
			if i == 6 && IRQApart() {
				apart = time.Duration(ticks) * userTick
			}
		}
		return busy, apart, nil
	}
	return 0, 0, fmt.Errorf("read times of cores: there is no core %d", core)
}

func children(pid int) (ids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		for _, field := range strings.Fields(string(text)) {
			if id, err := strconv.Atoi(field); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// Memory is the resident memory of a process and its descendants in bytes. A page that several of them share is counted
// once, in parts.
func Memory(pid int) (int64, error) { return sumOver(pid, "smaps_rollup", "Pss") }

// Anonymous is the resident memory of a process and its descendants, in bytes, that is no file's and shared with no
// other program: heaps and stacks.
func Anonymous(pid int) (int64, error) { return sumOver(pid, "status", "RssAnon") }

// sumOver adds up a line in kB of a file in /proc/PID over a process and its descendants.
func sumOver(pid int, file, line string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	_, after, found := strings.Cut(string(text), "\n"+line+":")
	fields := strings.Fields(after)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("read memory of process %d: the kernel does not tell %s", pid, line)
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	sum := kib << 10
	for _, child := range children(pid) {
		if n, err := sumOver(child, file, line); err == nil { // it may have ended meanwhile
			sum += n
		}
	}
	return sum, nil
}
