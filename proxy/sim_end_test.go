package proxy

import (
	"io"

	"github.com/uringproxy/uringproxy/engine/sim"
)

// simEnd is the far end of one connection: it reads and writes at a pace of its own.
type simEnd struct {
	run   *simRun
	p     *sim.Peer
	act   func()
	out   []byte // to be written
	sent  int
	pace  simPace
	until int64 // it does nothing before
	timer bool
	over  bool
	tls   *simTLS // nil: the connection is plain
}

// simPace is how much is read and written at once, and how long the pauses are, in nanoseconds.
type simPace struct {
	read, write int
	pause       int64
}

func (d *simDice) pace() simPace {
	sizes := []int{1 << 20, 1 << 20, 1 << 20, 4096, 1500, 100, 3, 1}
	pauses := []int64{1, 1, 1e3, 1e5, 1e6}
	return simPace{sizes[d.n(len(sizes))], sizes[d.n(len(sizes))], pauses[d.n(len(pauses))]}
}

// window is how much a far end takes before it has read. Where all is calm it is not so small that a megabyte takes
// longer than anybody waits.
func (run *simRun) window() int {
	if run.calm {
		return 200 + run.dice.n(20_000)
	}
	return 1 + run.dice.n(20_000)
}

// sleep does nothing for some time.
func (e *simEnd) sleep(d int64) {
	e.until = e.run.world.Now() + d
	if e.timer {
		return
	}
	e.timer = true
	e.run.after(d, func() {
		e.timer = false
		if rest := e.until - e.run.world.Now(); rest > 0 {
			e.sleep(rest)
			return
		}
		e.act()
	})
}

// idle reports that there is nothing to do: the end is gone or asleep.
func (e *simEnd) idle() bool { return e.over || e.run.world.Now() < e.until }

// rest pauses between two pieces.
func (e *simEnd) rest() {
	d := e.pace.pause
	if e.run.dice.percent(1) {
		d = int64(e.run.dice.n(3e9)) + 1
	}
	e.sleep(d)
}

// burst is how many of n bytes go at once: however small the pieces, not many hundred.
func burst(size, n int) int { return min(n, max(size, n/100)) }

// write writes some of what is to be written, at most most bytes. It reports false when the connection takes no more
// for good.
func (e *simEnd) write(most int) bool {
	if e.tls != nil {
		return e.writeTLS(most)
	}
	if len(e.out) == 0 || most == 0 {
		return true
	}
	n, err := e.p.Write(e.out[:min(most, burst(e.pace.write, len(e.out)))])
	e.sent += n
	e.out = e.out[n:]
	if err == nil && len(e.out) > 0 {
		e.rest()
	}
	return err == nil || err == sim.ErrWait
}

// read reads some of what has come. The error is io.EOF or what broke the connection.
func (e *simEnd) read() ([]byte, error) {
	if e.tls != nil {
		return e.readTLS()
	}
	b := e.run.scratch[:burst(e.pace.read, len(e.run.scratch))]
	n, err := e.p.Read(b)
	if err == sim.ErrWait {
		return nil, nil
	}
	if n > 0 {
		e.rest()
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return b[:n], err
}

// close ends it, with a reset or without.
func (e *simEnd) close(reset bool) {
	if reset {
		e.p.Reset()
	} else {
		if e.tls != nil {
			e.bye()
		}
		e.p.Close()
	}
	e.over = true
}
