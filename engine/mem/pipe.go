package mem

import "golang.org/x/sys/unix"

// PipeBytes is the capacity that is asked of a pipe: what the kernel lets everybody have (pipe(7), pipe-max-size).
const PipeBytes = 1 << 20

// ShardPipes is how many pipes a shard has at most: each takes two descriptors once it has been used.
const ShardPipes = 128

// pipeLeast is the capacity below which a pipe is not worth its system calls. An unprivileged user gets such ones when
// its pipes hold much already (pipe(7), pipe-user-pages-soft).
const pipeLeast = 64 << 10

// PipeEnds is a pipe as the kernel knows it.
type PipeEnds struct {
	Read, Write int32
	held        int32
}

func (p *PipeEnds) open() bool {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return false
	}
	p.Read, p.Write = int32(fds[0]), int32(fds[1])
	if size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, PipeBytes); err == nil && size >= pipeLeast {
		return true
	}
	if size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0); err == nil && size >= pipeLeast {
		return true
	}
	p.close()
	return false
}

func (p *PipeEnds) close() {
	if p.Write != 0 {
		_ = unix.Close(int(p.Read))
		_ = unix.Close(int(p.Write))
	}
	*p = PipeEnds{}
}

// pipes are those of an arena.
type pipes struct {
	ends   []PipeEnds
	open   int
	held   int64
	failed uint64
}

func (p *pipes) close(i uint32) {
	end := &p.ends[i]
	if end.Write != 0 {
		p.open--
	}
	p.held -= int64(end.held)
	end.close()
}

// Pipe is the pipe that b, of class Pipe, stands for. It is opened when it is first asked for, and stays open; nil when
// no descriptors or no memory can be had for it.
func (a *Arena) Pipe(b Buf) *PipeEnds {
	p := &a.pipes.ends[b.Index()]
	if p.Write == 0 {
		if !p.open() {
			a.pipes.failed++
			return nil
		}
		a.pipes.open++
	}
	return p
}

// Moved notes that n bytes more are in pipe b, or fewer: whoever moves bytes in or out tells.
func (a *Arena) Moved(b Buf, n int32) {
	a.pipes.ends[b.Index()].held += n
	a.pipes.held += int64(n)
}

// PipesFailed is how often a pipe could not be opened.
func (a *Arena) PipesFailed() uint64 { return a.pipes.failed }

// Pipes are how many pipes are open, those that wait to be used included, and how many bytes are in them.
func (a *Arena) Pipes() (open int, bytes int64) { return a.pipes.open, a.pipes.held }
