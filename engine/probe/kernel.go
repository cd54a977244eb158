package probe

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Version is a kernel version. It informs people; no decision is made by it.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// parseVersion reads the leading "major.minor" of a release such as "6.1.0-18-amd64".
func parseVersion(release string) (Version, error) {
	major, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(rest[:end])
	if err1 != nil || err2 != nil {
		return Version{}, fmt.Errorf("read kernel release %q: want MAJOR.MINOR at its start", release)
	}
	return Version{a, b}, nil
}

// host is what surrounds the process and explains a refusal.
type host struct {
	release       string
	version       Version
	machine       string
	uringDisabled string // sysctl kernel.io_uring_disabled; "" where the kernel has none (before 6.6)
	uringGroup    string
	seccomp       bool   // a seccomp filter is installed on this process
	memlock       uint64 // soft limit in bytes
}

func readHost() host {
	var h host
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.release = unix.ByteSliceToString(u.Release[:])
		h.machine = unix.ByteSliceToString(u.Machine[:])
		h.version, _ = parseVersion(h.release)
	}
	h.uringDisabled, _ = sysctl("kernel.io_uring_disabled")
	h.uringGroup, _ = sysctl("kernel.io_uring_group")
	h.seccomp = seccompMode() == "2"
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &lim) == nil {
		h.memlock = lim.Cur
	}
	return h
}

// sysctl reads one setting by its dotted name.
func sysctl(name string) (string, error) {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return strings.TrimSpace(string(b)), err
}

// seccompMode is the Seccomp line of /proc/self/status: "2" means that a filter is installed.
func seccompMode() string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
