package probe

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine/mem"
)

// Setting is a limit or sysctl that a busy proxy runs into.
type Setting struct {
	Name string
	Use  string // what it bounds
	Want string // a value that serves, in words
	Do   string // the command that sets it
	Unit string // the line of a systemd unit that sets it, where there is one
	read func() (value string, good bool, err error)
}

var settings = []Setting{
	{"RLIMIT_NOFILE", "connections: a proxied one takes two descriptors", "at least 65536",
		"ulimit -n 65536", "LimitNOFILE=65536", rlimit(unix.RLIMIT_NOFILE, 65536, countText)},
	{"RLIMIT_MEMLOCK", "io_uring's rings, unless the process has CAP_IPC_LOCK", "at least 8 MiB",
		"ulimit -l 8192", "LimitMEMLOCK=8M", rlimit(unix.RLIMIT_MEMLOCK, 8<<20, bytesText)},
	{"CPU quota", "cores of the control group; below one a shard is stopped in mid-work", "at least 1",
		"docker run --cpus=2", "CPUQuota=200%", quota},
	{"kernel.io_uring_disabled", "who may use io_uring: 0 all, 1 a group, 2 nobody", "0",
		"sysctl -w kernel.io_uring_disabled=0", "", between("kernel.io_uring_disabled", 0, 0)},
	{"net.core.somaxconn", "connections that wait to be accepted", "at least 4096",
		"sysctl -w net.core.somaxconn=4096", "", between("net.core.somaxconn", 4096, math.MaxInt)},
	{"net.ipv4.tcp_max_syn_backlog", "connections in their handshake", "at least 4096",
		"sysctl -w net.ipv4.tcp_max_syn_backlog=4096", "",
		between("net.ipv4.tcp_max_syn_backlog", 4096, math.MaxInt)},
	{"net.ipv4.ip_local_port_range", "connections to one endpoint, and UDP sessions to all of them",
		"at least 40000 ports", `sysctl -w net.ipv4.ip_local_port_range="10240 65535"`, "", portRange},
	{"net.ipv4.tcp_tw_reuse", "whether ports that linger after a connection are used again", "1 or 2",
		"sysctl -w net.ipv4.tcp_tw_reuse=1", "", between("net.ipv4.tcp_tw_reuse", 1, 2)},
	{"net.ipv4.tcp_slow_start_after_idle", "whether a kept connection is slow again after a pause", "0",
		"sysctl -w net.ipv4.tcp_slow_start_after_idle=0", "",
		between("net.ipv4.tcp_slow_start_after_idle", 0, 0)},
	{"net.core.netdev_max_backlog", "packets that wait for a core", "at least 1000",
		"sysctl -w net.core.netdev_max_backlog=4096", "", between("net.core.netdev_max_backlog", 1000, math.MaxInt)},
	{"fs.pipe-max-size", "bytes in a pipe from socket to socket; with less it has 64 KiB, unless the process has " +
		"CAP_SYS_RESOURCE", "at least 1048576",
		"sysctl -w fs.pipe-max-size=1048576", "", between("fs.pipe-max-size", mem.PipeBytes, math.MaxInt)},
	{"fs.pipe-user-pages-soft", "pages in all pipes of a user; beyond it they are smaller, then buffers are used, " +
		"unless the process has CAP_SYS_RESOURCE", "0 (no limit), or 32768 a core",
		"sysctl -w fs.pipe-user-pages-soft=0", "", pipePages},
}

// pipePagesPerCore are those of all pipes that a shard may open.
const pipePagesPerCore = mem.ShardPipes * mem.PipeBytes >> 12

func pipePages() (string, bool, error) {
	v, err := sysctl("fs.pipe-user-pages-soft")
	if err != nil {
		return "", false, err
	}
	n, err := strconv.Atoi(v)
	return v, err == nil && (n == 0 || n >= pipePagesPerCore*CPUs()), err
}

func rlimit(which int, least uint64, text func(uint64) string) func() (string, bool, error) {
	return func() (string, bool, error) {
		var lim unix.Rlimit
		if err := unix.Getrlimit(which, &lim); err != nil {
			return "", false, fmt.Errorf("read limit: %w", err)
		}
		return text(lim.Cur), lim.Cur >= least, nil
	}
}

func between(name string, low, high int) func() (string, bool, error) {
	return func() (string, bool, error) {
		v, err := sysctl(name)
		if err != nil {
			return "", false, err
		}
		n, err := strconv.Atoi(v)
		return v, err == nil && low <= n && n <= high, err
	}
}

func portRange() (string, bool, error) {
	v, err := sysctl("net.ipv4.ip_local_port_range")
	if err != nil {
		return "", false, err
	}
	var low, high int
	_, err = fmt.Sscan(v, &low, &high)
	return strings.Join(strings.Fields(v), " to "), high-low >= 40000, err
}

func quota() (string, bool, error) {
	q, ok := cpuQuota("/")
	if !ok {
		return "none", true, nil
	}
	return strconv.FormatFloat(q, 'g', 3, 64), q >= 1, nil
}

func countText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

func bytesText(n uint64) string {
	switch {
	case n == unix.RLIM_INFINITY:
		return "unlimited"
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
