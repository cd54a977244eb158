package probe

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestCPUQuota(t *testing.T) {
	const (
		v2Root   = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
		v1Root   = "33 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
		v1Inside = "33 32 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
		v1Memory = "34 32 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	)
	for name, c := range map[string]struct {
		group, mounts string
		files         map[string]string
		want          float64 // 0: no limit
	}{
		"no control groups": {"", "", nil, 0},
		"v2 limit": {"0::/app\n", v2Root,
			map[string]string{"sys/fs/cgroup/app/cpu.max": "150000 100000\n"}, 1.5},
		"v2 no limit": {"0::/app\n", v2Root,
			map[string]string{"sys/fs/cgroup/app/cpu.max": "max 100000\n"}, 0},
		"v2 limit above": {"0::/a/b\n", v2Root, map[string]string{
			"sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n"}, 0.5},
		"v2 own limit is less": {"0::/a/b\n", v2Root, map[string]string{
			"sys/fs/cgroup/a/cpu.max": "800000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n"}, 2},
		"v2 at the root of its namespace": {"0::/\n", v2Root,
			map[string]string{"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3},
		"v1 limit": {"4:memory:/x\n3:cpu,cpuacct:/app\n", v1Memory + v1Root, map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us":  "250000\n",
			"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": "100000\n"}, 2.5},
		"v1 no limit": {"3:cpu,cpuacct:/app\n", v1Root, map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us":  "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": "100000\n"}, 0},
		"v1 in a container": {"3:cpu,cpuacct:/docker/abc\n", v1Inside, map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 1},
		"v1 and v2 side by side": {"3:cpu,cpuacct:/app\n0::/app\n", v1Root + v2Root, map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us":  "400000\n",
			"sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us": "100000\n"}, 4},
		"nonsense": {"3:cpu:/app\nx\n0::/app\n", v2Root + "x - y\n- cgroup2\n",
			map[string]string{"sys/fs/cgroup/app/cpu.max": "a lot\n"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "proc/self/cgroup", c.group)
			write(t, root, "proc/self/mountinfo", c.mounts)
			for path, text := range c.files {
				write(t, root, path, text)
			}
			got, ok := cpuQuota(root)
			if ok != (c.want != 0) || got != c.want {
				t.Errorf("quota %v, %v; want %v", got, ok, c.want)
			}
		})
	}
}

func write(t *testing.T, root, path, text string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCPUs(t *testing.T) {
	if n := CPUs(); n < 1 || n > runtime.NumCPU() {
		t.Errorf("%d usable cores of %d", n, runtime.NumCPU())
	}
}

func FuzzCPUQuota(f *testing.F) {
	f.Add("3:cpu:/a\n0::/b\n", "30 25 0:26 / /sys rw - cgroup2 c rw\n31 25 0:26 /a /c rw - cgroup c cpu\n", "100 200\n")
	f.Add("0::/../..\n", "30 25 0:26 /a /sys rw - cgroup2 c rw\n", "max 0\n")
	f.Fuzz(func(t *testing.T, group, mounts, quota string) {
		root := t.TempDir()
		write(t, root, "proc/self/cgroup", group)
		write(t, root, "proc/self/mountinfo", mounts)
		write(t, root, "sys/cpu.max", quota)
		if q, ok := cpuQuota(root); ok != (q > 0) {
			t.Errorf("quota %v, %v", q, ok)
		}
	})
}

func TestParseVersion(t *testing.T) {
	for release, want := range map[string]Version{
		"6.18.44": {6, 18}, "6.1.0-18-amd64": {6, 1}, "5.14-rc1": {5, 14}, "5.19": {5, 19},
	} {
		if v, err := parseVersion(release); err != nil || v != want {
			t.Errorf("%q: %v, %v; want %v", release, v, err, want)
		}
	}
	for _, release := range []string{"", "6", "six.one", "6.", "."} {
		if v, err := parseVersion(release); err == nil {
			t.Errorf("%q: %v, want an error", release, v)
		}
	}
}
