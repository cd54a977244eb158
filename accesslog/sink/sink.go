// Package sink writes the lines that the shards' access log rings hold to a file, or to the standard streams.
//
// One goroutine empties all rings. It belongs to the control plane: it may block, and when the disk does, the rings
// fill up and the shards drop lines rather than wait. A line that has entered a ring is lost only when the
// program ends before it could be written, and then it is counted.
//
// Invariants: lines are never mixed or split by one another; the lines of one shard keep their order, those of
// different shards may be out of order by as much as the goroutine sleeps, at most 100 ms.
//
// It imports accesslog, x/sys/unix and the standard library, and is imported by server.
package sink

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
)

// Options say where lines go.
type Options struct {
	// Path is a file, which is appended to and created with mode 0640, or "stdout" or "stderr".
	Path string
	// Stdout and Stderr take the place of the process's own streams when they are set.
	Stdout, Stderr io.Writer
	// Log is told of failures and of lines lost; nil: nobody is.
	Log *slog.Logger
}

// Writer empties the rings until it is closed. Its methods may be called from any goroutine.
type Writer struct {
	rings    *accesslog.Rings
	log      *slog.Logger
	path     string
	open     func() (io.WriteCloser, error)
	patience time.Duration // how long Close waits for an output that takes nothing
	retry    time.Duration // how long it rests after a failed write

	bell     *os.File
	requests chan request
	done     chan struct{}
	unsaved  atomic.Uint64

	// What follows belongs to the goroutine.
	out    io.WriteCloser
	turn   int           // the ring to empty first: the one whose line was cut short by a failure
	partly bool          // that line's beginning has been written
	failed error         // why the last write failed; nil when it did not
	idle   time.Duration // the last sleep, while nothing comes
	told   uint64        // drops already logged
	toldAt time.Time
}

// request is what others want of the goroutine. The answer's channel has room for it, so that nobody need wait for it.
type request struct {
	end    bool // finish; otherwise open the output anew
	answer chan error
}

// Open opens the output and starts to empty the rings.
func Open(rings *accesslog.Rings, o Options) (*Writer, error) {
	w := &Writer{
		rings: rings, log: o.Log, path: o.Path, open: o.opener(),
		patience: 5 * time.Second, retry: time.Second,
		requests: make(chan request, 1), done: make(chan struct{}),
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if err := w.start(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Writer) start() (err error) {
	if w.out, err = w.open(); err != nil {
		return fmt.Errorf("open access log: %w", err)
	}
	if err = w.listen(); err != nil {
		return errors.Join(err, w.out.Close())
	}
	go w.run()
	return nil
}

// listen gets a descriptor of the bell that is the writer's own.
func (w *Writer) listen() error {
	fd, err := unix.FcntlInt(uintptr(w.rings.BellFD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("duplicate access log eventfd: %w", err)
	}
	w.bell = os.NewFile(uintptr(fd), "access log bell")
	return nil
}

// opener is how the output is opened, at start and again at each Reopen.
func (o Options) opener() func() (io.WriteCloser, error) {
	stream := func(set, own io.Writer) func() (io.WriteCloser, error) {
		if set == nil {
			set = own
		}
		return func() (io.WriteCloser, error) { return unclosed{set}, nil }
	}
	switch o.Path {
	case "stdout":
		return stream(o.Stdout, os.Stdout)
	case "stderr":
		return stream(o.Stderr, os.Stderr)
	}
	return func() (io.WriteCloser, error) {
		return os.OpenFile(o.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	}
}

// unclosed is an output that stays open because others use it too.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// Reopen opens the output again, after a log rotation moved the file away. Each line goes to the old file or to the new
// one. When the new one cannot be opened the old one stays in use, and the error says why.
func (w *Writer) Reopen() error {
	if err := w.ask(false, nil); err != nil {
		return fmt.Errorf("reopen access log: %w", err)
	}
	return nil
}

// Close writes what the rings hold and closes the output. The shards must have appended their last lines. It gives up
// on an output that takes nothing for five seconds.
func (w *Writer) Close() error {
	t := time.NewTimer(w.patience)
	defer t.Stop()
	if err := w.ask(true, t.C); err != nil {
		return fmt.Errorf("close access log: %w", err)
	}
	return nil
}

// Dropped is the number of lines lost so far, in the rings and behind them.
func (w *Writer) Dropped() uint64 { return w.rings.Dropped() + w.unsaved.Load() }

var (
	errClosed  = errors.New("it is closed already")
	errStalled = errors.New("the output takes no data; what waits is lost")
)

// ask hands a request to the goroutine and waits for the answer.
func (w *Writer) ask(end bool, deadline <-chan time.Time) error {
	r := request{end: end, answer: make(chan error, 1)}
	select {
	case w.requests <- r:
	case <-w.done:
		return errClosed
	case <-deadline:
		return errStalled
	}
	_, _ = w.bell.Write(one[:]) // fails only when the goroutine has ended, which done tells
	select {
	case err := <-r.answer:
		return err
	case <-w.done:
	case <-deadline:
		return errStalled
	}
	select { // the answer is given before the end
	case err := <-r.answer:
		return err
	default:
		return errClosed
	}
}

// one is the number 1 as eventfd(2) wants it, in either byte order a number above 0.
var one = [8]byte{0: 1}
