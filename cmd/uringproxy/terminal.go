package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// terminal is the user's terminal while a command has all of it: keys come one by one and unseen, and what was on the
// screen is back afterwards.
type terminal struct {
	file    *os.File
	before  unix.Termios // as it was found
	signals chan os.Signal
	keys    chan byte
	wake    [2]int // a pipe; closing its writing end, the second, ends the reader of keys

	mu      sync.Mutex // restore may be called by a goroutine that panics
	entered bool
}

// Control sequences of all terminals that there are today (ECMA-48, and xterm's for the other screen).
const (
	otherScreen = "\x1b[?1049h\x1b[?25l" // and no cursor
	mainScreen  = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// takeTerminal takes f over until release.
func takeTerminal(f *os.File) (*terminal, error) {
	t := &terminal{file: f, signals: make(chan os.Signal, 16), keys: make(chan byte, 16)}
	before, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read the terminal's settings: %w", err)
	}
	t.before = *before
	if err := unix.Pipe2(t.wake[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	signal.Notify(t.signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH)
	if err := t.enter(); err != nil {
		t.release()
		return nil, err
	}
	go t.read()
	return t, nil
}

// enter changes the terminal. Signals of the keyboard stay signals.
func (t *terminal) enter() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	raw := t.before
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &raw); err != nil {
		return fmt.Errorf("change the terminal's settings: %w", err)
	}
	t.entered = true
	_, err := t.file.WriteString(otherScreen)
	return err
}

// restore makes the terminal what it was. It may be called at any time, and more than once.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.entered {
		return
	}
	t.entered = false
	_, _ = t.file.WriteString(mainScreen)
	_ = unix.IoctlSetTermios(int(t.file.Fd()), unix.TCSETS, &t.before) // it may be gone, and all is well then
}

// release gives the terminal back.
func (t *terminal) release() {
	t.restore()
	signal.Stop(t.signals)
	_ = unix.Close(t.wake[1]) // nothing was written that could be lost
}

// restoreInPanic is deferred by every goroutine beside the one that defers release: a panic would end the program with
// the terminal as it is.
func (t *terminal) restoreInPanic() {
	if p := recover(); p != nil {
		t.restore()
		panic(p)
	}
}

// suspend does what the terminal does by itself for programs that leave it alone: it stops the process until it is
// continued.
func (t *terminal) suspend() error {
	t.restore()
	// Sent to the process, the signal may come to another thread, and this one would go on for a moment.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
		return fmt.Errorf("stop the process: %w", err)
	}
	return t.enter()
}

// read hands out keys until release or the terminal's end, which looks like the key q. They are read from where the
// screen is: the standard input may be something else.
func (t *terminal) read() {
	defer t.restoreInPanic()
	defer unix.Close(t.wake[0])
	fds := []unix.PollFd{{Fd: int32(t.file.Fd()), Events: unix.POLLIN}, {Fd: int32(t.wake[0]), Events: unix.POLLIN}}
	var b [16]byte
	for {
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		}
		if fds[1].Revents != 0 {
			return
		}
		n, err := unix.Read(int(t.file.Fd()), b[:])
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err == unix.EBADF: // open for writing alone: there are signals still
			return
		case err != nil || n == 0:
			b[0], n = 'q', 1
		}
		for _, key := range b[:n] {
			select {
			case t.keys <- key:
			default: // more than anybody types
			}
		}
		if err != nil || fds[0].Revents&unix.POLLHUP != 0 {
			return
		}
	}
}

// size is how many columns and lines there are.
func (t *terminal) size() (columns, lines int) {
	w, err := unix.IoctlGetWinsize(int(t.file.Fd()), unix.TIOCGWINSZ)
	if err != nil || w.Col == 0 || w.Row == 0 {
		return 80, 24
	}
	return int(w.Col), int(w.Row)
}
