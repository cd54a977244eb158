package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/result"
)

// machine describes where we are. What the kernel does not tell is left empty.
func machine(o *Options) result.Machine {
	m := result.Machine{
		Cores: runtime.NumCPU(), Go: runtime.Version(), ProxyCore: o.ProxyCore, LoadCore: o.LoadCore,
	}
	text, _ := os.ReadFile("/proc/cpuinfo") // it is only told
	m.Processor, m.Virtual = processor(string(text)), hypervisor(string(text))
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	return m
}

// processor is the name of the first one; on ARM, which has none there, what the kernel calls the machine.
func processor(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// hypervisor is the maker of a virtual machine, or "virtual" if nobody says who.
func hypervisor(cpuinfo string) string {
	if !strings.Contains(cpuinfo, " hypervisor") {
		return ""
	}
	vendor, _ := os.ReadFile("/sys/class/dmi/id/sys_vendor")
	if s := strings.TrimSpace(string(vendor)); s != "" {
		return s
	}
	return "virtual"
}

// siblings are the cores that are threads of the same one as a core, itself included; none where the kernel does not
// tell.
func siblings(core int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core))
	if err != nil {
		return nil
	}
	return parseCores(string(text))
}

// parseCores reads a list of cores as the kernel writes it: "0,4" or "0-1,8-9". What it does not understand is left
// out.
func parseCores(text string) (cores []int) {
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		low, high, found := strings.Cut(part, "-")
		if !found {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil {
			continue
		}
		for core := from; core <= min(to, from+mostSiblings); core++ {
			cores = append(cores, core)
		}
	}
	return cores
}

// mostSiblings is more than any core has.
const mostSiblings = 64

// ownTime is the processor time of this process alone.
func ownTime() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("ask for own processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// descriptorReserve are the descriptors that a process needs besides those of its clients: upstream connections, files.
const descriptorReserve = 1700

// descriptorLimit is how many descriptors a process may have when it asks for as many as it can.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int(min(limit.Max, 1<<24))
}

// raiseDescriptors takes as many descriptors as we may have, for us and all that we start.
func raiseDescriptors() error {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err == nil {
		limit.Cur = limit.Max
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		return fmt.Errorf("raise limit of descriptors: %w", err)
	}
	return nil
}

// descriptorsFor is an error if a scenario needs more descriptors than we may have: a proxy has one for each client,
// and one for each request that runs, or for each connection that is passed on.
func descriptorsFor(s *site, conns int) error {
	need, limit := s.Connections+conns+100, descriptorLimit()
	if s.Wire != load.HTTP {
		need += s.Connections - s.Kept
	}
	if need > limit {
		return fmt.Errorf("needs %s descriptors, and this process may have %s: raise it with \"ulimit -Hn %d\" as "+
			"root, or take fewer connections with --conns", words.Group(need), words.Group(limit), need)
	}
	return nil
}

// pinSelf keeps this process off the proxies' core, until restore is called. Threads that are made later inherit it.
func pinSelf(core int) (restore func(), err error) {
	var before, cores unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("ask for usable cores: %w", err)
	}
	cores.Set(core)
	if err := pinTo(&cores); err != nil {
		return nil, fmt.Errorf("keep to core %d: %w; this needs the right to choose cores, which some sandboxes "+
			"forbid: run it outside", core, err)
	}
	return func() {
		_ = pinTo(&before) // it was so before
	}, nil
}

// pinTo keeps all threads of this process to cores.
func pinTo(cores *unix.CPUSet) error {
	tasks, err := ownTasks()
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if err := unix.SchedSetaffinity(task, cores); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// ownTasks are the ids of all threads of this process.
func ownTasks() (ids []int, err error) {
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
