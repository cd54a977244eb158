package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hang is how long something may take that has to happen.
const hang = 60 * time.Second

// TestProgram is no test: it is this program, for tests that need it as a process of its own.
func TestProgram(t *testing.T) {
	switch args := os.Getenv("TEST_PROGRAM"); args {
	case "":
	case "panic", "panic beside":
		panicOn(args)
	default:
		os.Exit(run(strings.Split(args, "\n"), os.Stdout, os.Stderr))
	}
}

// panicOn takes the terminal over and panics, on a goroutine beside or not. It is left to no test to recover.
func panicOn(how string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		term, err := takeTerminal(os.Stdout)
		if err != nil {
			panic(err)
		}
		if how == "panic beside" {
			go func() {
				defer term.restoreInPanic()
				panic("made by a test")
			}()
			select {}
		}
		defer term.release()
		panic("made by a test")
	}()
	<-done
}

// session is a process on a pseudo terminal of its own, and what has come to its screen.
type session struct {
	t      *testing.T
	master *os.File
	slave  *os.File // kept open, so that the terminal outlives the process
	before unix.Termios
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
	more   chan struct{}
}

// startOn runs the program on a terminal of that size.
func startOn(t *testing.T, columns, lines uint16, env []string, args ...string) *session {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, master: master, slave: slave, more: make(chan struct{}, 1)}
	s.resize(columns, lines)
	s.before = s.settings()
	s.cmd = exec.Command(os.Args[0], "-test.run=^TestProgram$")
	s.cmd.Env = append(append(os.Environ(), "TERM=xterm", "TEST_PROGRAM="+strings.Join(args, "\n")), env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended, unless the test failed
		_ = s.cmd.Wait()
		slave.Close()
		master.Close()
	})
	go s.read()
	return s
}

func (s *session) read() {
	b := make([]byte, 4096)
	for {
		n, err := s.master.Read(b)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.screen.Write(b[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

// sees waits until want has come to the screen, and forgets what came up to there.
func (s *session) sees(want string) (before string) {
	s.t.Helper()
	limit := time.NewTimer(hang)
	defer limit.Stop()
	for {
		s.mu.Lock()
		before, _, found := bytes.Cut(s.screen.Bytes(), []byte(want))
		if found {
			text := string(before)
			s.screen.Next(len(before) + len(want))
			s.mu.Unlock()
			return text
		}
		all := s.screen.String()
		s.mu.Unlock()
		select {
		case <-s.more:
		case <-limit.C:
			s.t.Fatalf("%q never comes to the screen:\n%q", want, all)
		}
	}
}

func (s *session) types(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) resize(columns, lines uint16) {
	s.t.Helper()
	size := &unix.Winsize{Col: columns, Row: lines}
	if err := unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) settings() unix.Termios {
	s.t.Helper()
	got, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *got
}

// restored asserts that the terminal is as it was.
func (s *session) restored() {
	s.t.Helper()
	s.sees(mainScreen)
	for limit := time.Now().Add(hang); s.settings() != s.before; {
		if time.Now().After(limit) {
			s.t.Fatalf("settings %+v, were %+v", s.settings(), s.before)
		}
	}
}

// ends waits for the process's end.
func (s *session) ends(code int) {
	s.t.Helper()
	_ = s.cmd.Wait() // the exit code tells
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d, want %d", got, code)
	}
	s.restored()
}
