package probe

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CPUs is the number of cores that this process may use: its affinity, or its control group's CPU quota rounded
// up when that is less. At least 1.
func CPUs() int {
	n := 1
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		n = set.Count()
	}
	if q, ok := cpuQuota("/"); ok {
		n = min(n, int(math.Ceil(q)))
	}
	return max(n, 1)
}

// cpuQuota is the least CPU quota, in cores, of this process's control group and those above it; false when
// there is none. Both generations of control groups are read. root is "/" outside tests.
func cpuQuota(root string) (float64, bool) {
	groups, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0, false
	}
	mounts, err := os.ReadFile(path.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return 0, false
	}
	least, found := 0.0, false
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || f[1] != "" && !listed(f[1], "cpu") {
			continue
		}
		dir, at, ok := cgroupDir(string(mounts), f[1] == "", f[2])
		if !ok {
			continue
		}
		if q, ok := leastQuota(path.Join(root, dir), at, f[1] == ""); ok && (!found || q < least) {
			least, found = q, true
		}
	}
	return least, found
}

// cgroupDir finds where the hierarchy is mounted, and the group's path below that.
func cgroupDir(mountinfo string, v2 bool, group string) (mount, at string, ok bool) {
	for line := range strings.Lines(mountinfo) {
		// id parent major:minor root mountpoint options … - type source superoptions
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 5 || len(r) < 3 {
			continue
		}
		if v2 && r[0] != "cgroup2" || !v2 && (r[0] != "cgroup" || !listed(r[2], "cpu")) {
			continue
		}
		// In a container the mount may show the group itself as its root.
		if below, inside := strings.CutPrefix(group, l[3]); inside && l[3] != "/" {
			group = below
		}
		return l[4], path.Clean("/" + group), true
	}
	return "", "", false
}

// leastQuota walks from the group up to the mount: a limit above binds as much as its own.
func leastQuota(mount, at string, v2 bool) (float64, bool) {
	least, found := 0.0, false
	for {
		q, ok := quotaV1(path.Join(mount, at))
		if v2 {
			q, ok = quotaV2(path.Join(mount, at))
		}
		if ok && (!found || q < least) {
			least, found = q, true
		}
		if at == "/" || at == "." {
			return least, found
		}
		at = path.Dir(at)
	}
}

// quotaV2 reads cpu.max, "MAX PERIOD" in microseconds, where MAX may be the word "max".
func quotaV2(dir string) (float64, bool) {
	b, err := os.ReadFile(path.Join(dir, "cpu.max"))
	f := strings.Fields(string(b))
	if err != nil || len(f) != 2 {
		return 0, false
	}
	return cores(f[0], f[1])
}

// quotaV1 reads cpu.cfs_quota_us, which is -1 without a limit, and cpu.cfs_period_us.
func quotaV1(dir string) (float64, bool) {
	q, err1 := os.ReadFile(path.Join(dir, "cpu.cfs_quota_us"))
	p, err2 := os.ReadFile(path.Join(dir, "cpu.cfs_period_us"))
	if err1 != nil || err2 != nil {
		return 0, false
	}
	return cores(strings.TrimSpace(string(q)), strings.TrimSpace(string(p)))
}

func cores(quota, period string) (float64, bool) {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0, false
	}
	return q / p, true
}

// listed reports whether word is an element of a comma-separated list.
func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}
