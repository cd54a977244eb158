package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each way in which io_uring can be refused is provoked for real, in a child process: the test binary runs itself
// again with the name of the obstacle in this variable.
const obstacleVar = "URINGPROXY_PROBE_OBSTACLE"

// obstacles are what the child does to itself before it chooses. The result undoes it.
var obstacles = map[string]func() (undo func(), err error){
	"seccomp EPERM":  func() (func(), error) { return nop, refuseUring(unix.EPERM) },
	"seccomp ENOSYS": func() (func(), error) { return nop, refuseUring(unix.ENOSYS) },
	"no epoll":       func() (func(), error) { return nop, refuseEpoll() },
	"memlock":        func() (func(), error) { return nop, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}) },
}

func nop() {}

// outcome is what the child reports.
type outcome struct {
	Auto      Choice
	AutoErr   string
	UringErr  string
	Errno     int // of the error under "uring"
	DoctorRC  int
	DoctorOut string
}

func TestMain(m *testing.M) {
	if name := os.Getenv(obstacleVar); name != "" {
		os.Exit(childMain(name))
	}
	os.Exit(m.Run())
}

func childMain(name string) int {
	undo, err := obstacles[name]()
	if err != nil {
		os.Stderr.WriteString("provoke " + name + ": " + err.Error() + "\n")
		return 1
	}
	auto, autoErr := Choose(Want{})
	_, uringErr := Choose(Want{Engine: Uring})
	undo()
	out := outcome{Auto: auto}
	out.Auto.Features = nil
	if autoErr != nil {
		out.AutoErr = autoErr.Error()
	}
	if uringErr != nil {
		out.UringErr = uringErr.Error()
		var errno unix.Errno
		if errors.As(uringErr, &errno) {
			out.Errno = int(errno)
		}
	}
	if !strings.HasPrefix(name, "sysctl") { // a system-wide obstacle was taken away already
		var b bytes.Buffer
		out.DoctorRC = Doctor(&b)
		out.DoctorOut = b.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return 1
	}
	return 0
}

// runChild runs the obstacle's child, as the user nobody when asked to.
func runChild(t *testing.T, name string, nobody bool) outcome {
	t.Helper()
	// The binary is named by the link, since its folder is closed to other users.
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), obstacleVar+"="+name)
	if nobody && os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("child %q: %v\n%s%s", name, err, stderr.String(), stdout.String())
	}
	var out outcome
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("child %q: %v in %q", name, err, stdout.String())
	}
	return out
}

// expect checks that auto fell back to epoll with a line that has the words, and that uring was an error with them.
func (out outcome) expect(t *testing.T, errno unix.Errno, words ...string) {
	t.Helper()
	if out.AutoErr != "" || out.Auto.Engine != Epoll || out.Auto.Tier != "T0" {
		t.Errorf("auto chose %q %q, error %q; want epoll T0", out.Auto.Engine, out.Auto.Tier, out.AutoErr)
	}
	for _, w := range words {
		if !strings.Contains(out.Auto.Why, w) {
			t.Errorf("auto's reason %q does not say %q", out.Auto.Why, w)
		}
		if !strings.Contains(out.UringErr, w) {
			t.Errorf("uring's error %q does not say %q", out.UringErr, w)
		}
	}
	if strings.Contains(out.Auto.Why, "\n") || strings.Contains(out.UringErr, "\n") {
		t.Errorf("more than one line: %q, %q", out.Auto.Why, out.UringErr)
	}
	if unix.Errno(out.Errno) != errno {
		t.Errorf("uring's error wraps %v, want %v", unix.Errno(out.Errno), errno)
	}
}

func TestFallBackUnderSeccomp(t *testing.T) {
	t.Run("EPERM", func(t *testing.T) {
		out := runChild(t, "seccomp EPERM", false)
		out.expect(t, unix.EPERM, "seccomp filter refuses", "allow io_uring_setup", "operation not permitted")
		out.expectDoctor(t)
	})
	t.Run("ENOSYS", func(t *testing.T) {
		out := runChild(t, "seccomp ENOSYS", false)
		out.expect(t, unix.ENOSYS, "seccomp filter hides", "allow io_uring_setup", "function not implemented")
		out.expectDoctor(t)
	})
}

func TestFallBackWithoutLockedMemory(t *testing.T) {
	if h := readHost(); h.version.Less(Version{6, 14}) && !h.version.Less(Version{5, 12}) {
		t.Skipf("Linux %s does not charge rings to RLIMIT_MEMLOCK", h.release)
	}
	out := runChild(t, "memlock", true)
	out.expect(t, unix.ENOMEM, "RLIMIT_MEMLOCK, which is 0 bytes", "ulimit -l", "cannot allocate memory")
	out.expectDoctor(t)
}

func TestDoctorWithoutEpoll(t *testing.T) {
	out := runChild(t, "no epoll", false)
	if out.DoctorRC != 1 || !strings.Contains(out.DoctorOut, "not even epoll") {
		t.Errorf("exit code %d, want 1 and the reason\n%s", out.DoctorRC, out.DoctorOut)
	}
}

func TestDoctorShowsTheTables(t *testing.T) {
	var b bytes.Buffer
	if rc := Doctor(&b); rc != 0 {
		t.Errorf("exit code %d", rc)
	}
	out := b.String()
	for _, f := range features {
		if !strings.Contains(out, f.Name) || !strings.Contains(out, f.Use) {
			t.Errorf("%s is missing", f.Name)
		}
	}
	for _, s := range settings {
		_, good, err := s.read()
		if !strings.Contains(out, s.Name) || strings.Contains(out, s.Do) != (!good && err == nil) {
			t.Errorf("%s or its advice is missing, or is given in vain", s.Name)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// expectDoctor checks that doctor calls a host usable that has epoll alone, and says the same as the choice.
func (out outcome) expectDoctor(t *testing.T) {
	t.Helper()
	if out.DoctorRC != 0 {
		t.Errorf("doctor's exit code is %d, want 0: epoll works\n%s", out.DoctorRC, out.DoctorOut)
	}
	if !strings.Contains(out.DoctorOut, "Choice: "+out.Auto.Why) {
		t.Errorf("doctor does not give the reason %q:\n%s", out.Auto.Why, out.DoctorOut)
	}
}

// refuse installs a seccomp filter on all threads of this process that answers the system calls with errno.
func refuse(errno unix.Errno, calls ...uint32) error {
	const loadNumber = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	const jumpIfEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	const answer = unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: loadNumber, K: 0}} // seccomp_data.nr
	for i, nr := range calls {
		program = append(program, unix.SockFilter{Code: jumpIfEqual, K: nr, Jt: uint8(len(calls) - i)})
	}
	program = append(program,
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(errno)})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if e != 0 {
		return e
	}
	return nil
}

func refuseUring(errno unix.Errno) error {
	return refuse(errno, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER)
}

func refuseEpoll() error {
	// Go's own poller needs an epoll set too, and panics without: let it have one first.
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	r.Close()
	w.Close()
	return refuse(unix.ENOSYS, unix.SYS_EPOLL_CREATE1)
}
