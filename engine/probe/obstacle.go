package probe

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Obstacle is why io_uring cannot be used, in words for the operator.
type Obstacle struct {
	Cause  string // what stands in the way
	Remedy string // what to change, starting with a verb
	Err    error  // what the kernel said
}

func (o *Obstacle) Error() string { return fmt.Sprintf("%s (%v); %s", o.Cause, o.Err, o.Remedy) }
func (o *Obstacle) Unwrap() error { return o.Err }

// explain turns an error of io_uring on this host into an obstacle.
func (h *host) explain(err error) *Obstacle {
	o := &Obstacle{Err: err}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		o.Cause, o.Remedy = h.explainRefusal()
	case errors.Is(err, unix.ENOSYS):
		o.Cause, o.Remedy = h.explainAbsence()
	case errors.Is(err, unix.ENOMEM):
		o.Cause = fmt.Sprintf("io_uring's rings do not fit into RLIMIT_MEMLOCK, which is %s", bytesText(h.memlock))
		o.Remedy = `raise the limit with "ulimit -l unlimited", LimitMEMLOCK=infinity in a systemd unit, ` +
			`or "docker run --ulimit memlock=-1"`
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		o.Cause = "io_uring needs a descriptor and there is none left"
		o.Remedy = `raise the limit with "ulimit -n 65536", or LimitNOFILE=65536 in a systemd unit`
	default:
		o.Cause = "io_uring does not work as expected"
		o.Remedy = `run "uringproxy doctor" for the details`
	}
	return o
}

func (h *host) explainRefusal() (cause, remedy string) {
	switch {
	case h.uringDisabled == "2":
		return "io_uring is switched off by kernel.io_uring_disabled=2",
			`switch it on with "sysctl -w kernel.io_uring_disabled=0"`
	case h.uringDisabled == "1":
		return "kernel.io_uring_disabled=1 keeps io_uring for CAP_SYS_ADMIN and the group kernel.io_uring_group=" +
				h.uringGroup,
			`let one of our groups in with "sysctl -w kernel.io_uring_group=GID", or all ` +
				`with "sysctl -w kernel.io_uring_disabled=0"`
	case h.seccomp:
		return "a seccomp filter refuses io_uring, as the default profiles of Docker and containerd do",
			"allow io_uring_setup, io_uring_enter and io_uring_register in the profile"
	}
	return "the kernel or a security module refuses io_uring to this process",
		"look for a denial in the kernel's log (SELinux, AppArmor) and allow io_uring"
}

func (h *host) explainAbsence() (cause, remedy string) {
	switch {
	case h.seccomp && (h.uringDisabled != "" || !h.version.Less(Version{5, 1})):
		return "a seccomp filter hides io_uring from this process",
			"allow io_uring_setup, io_uring_enter and io_uring_register in the profile"
	case h.version.Less(Version{5, 1}):
		return fmt.Sprintf("Linux %s has no io_uring", h.release), "use Linux 6.1 or later"
	}
	return "this kernel has no io_uring: it was built without CONFIG_IO_URING, or is an emulation such as gVisor",
		"use a kernel with CONFIG_IO_URING=y"
}
