package sink

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// How long the goroutine sleeps. While lines come it looks every shortest; when none do it sleeps longer each time, and
// after longest it stops looking and lets itself be called. A ring that gets half full ends each sleep.
const (
	shortest = 10 * time.Millisecond
	longest  = 100 * time.Millisecond
	telling  = time.Minute // between two reports of lines lost
)

func (w *Writer) run() {
	defer close(w.done)
	defer w.bell.Close()
	for {
		moved := w.drain()
		w.tell(false)
		select {
		case r := <-w.requests:
			if r.end {
				r.answer <- w.finish()
				return
			}
			r.answer <- w.reopen()
		default:
			w.sleep(moved)
		}
	}
}

// drain writes what the rings hold, and reports whether that was anything. A failed write leaves the rest in the rings,
// to go on with the very byte where it failed.
func (w *Writer) drain() (moved bool) {
	for range w.rings.Len() {
		ring := w.rings.Ring(w.turn)
		first, second := ring.Pending()
		for _, part := range [2][]byte{first, second} {
			if len(part) == 0 {
				continue
			}
			n, err := w.out.Write(part)
			if n > 0 {
				moved, w.partly = true, part[n-1] != '\n'
				ring.Consume(n)
			}
			if err != nil {
				w.fail(err)
				return moved
			}
		}
		w.turn = (w.turn + 1) % w.rings.Len()
	}
	if moved && w.failed != nil {
		w.failed = nil
		w.log.Info("access log is written again", "path", w.path)
		w.tell(true)
	}
	return moved
}

// fail notes a failed write and logs the first of a series.
func (w *Writer) fail(err error) {
	if w.failed == nil {
		w.log.Error("cannot write access log, lines are kept while there is room", "path", w.path, "error", err)
	}
	w.failed = err
}

// tell logs lines that were lost in the rings, now and then or at once.
func (w *Writer) tell(now bool) {
	lost := w.rings.Dropped()
	if lost == w.told || !now && time.Since(w.toldAt) < telling {
		return
	}
	w.log.Warn("access log lines dropped, the output is too slow", "path", w.path, "lines", lost-w.told, "total", lost)
	w.told, w.toldAt = lost, time.Now()
}

// sleep waits for lines or requests.
func (w *Writer) sleep(moved bool) {
	switch {
	case w.failed != nil:
		w.wait(w.retry)
	case moved || w.idle < longest:
		w.idle = max(shortest, min(2*w.idle, longest)) // 0 at first, which would mean for ever
		if moved {
			w.idle = shortest
		}
		if w.rings.Nap() {
			w.wait(w.idle)
		}
	default:
		if w.rings.Park() {
			w.wait(0)
		}
	}
	w.rings.Woken()
}

// wait returns when the bell rings, or after d if that is not zero.
func (w *Writer) wait(d time.Duration) {
	var end time.Time
	if d > 0 {
		end = time.Now().Add(d)
	}
	_ = w.bell.SetReadDeadline(end) // an eventfd has deadlines
	var count [8]byte
	_, _ = w.bell.Read(count[:]) // a timeout is as good a reason to look again as a call
}

// reopen goes on with a newly opened output.
func (w *Writer) reopen() error {
	out, err := w.open()
	if err != nil {
		return err
	}
	old := w.out
	w.out = out
	if w.partly {
		w.skipLine()
	}
	if err := old.Close(); err != nil {
		return fmt.Errorf("close the old file: %w", err)
	}
	return nil
}

// skipLine drops the rest of a line whose beginning is in another file.
func (w *Writer) skipLine() {
	ring := w.rings.Ring(w.turn)
	first, second := ring.Pending()
	n := bytes.IndexByte(first, '\n') + 1
	if n == 0 {
		n = len(first) + bytes.IndexByte(second, '\n') + 1
	}
	ring.Consume(n)
	w.partly = false
	w.unsaved.Add(1)
}

// finish writes all that is left, once, and closes the output.
func (w *Writer) finish() error {
	for w.drain() {
	}
	w.tell(true)
	var left int
	for i := range w.rings.Len() {
		first, second := w.rings.Ring(i).Pending()
		left += bytes.Count(first, []byte{'\n'}) + bytes.Count(second, []byte{'\n'})
		w.rings.Ring(i).Consume(len(first) + len(second))
	}
	var err error
	if left > 0 {
		w.unsaved.Add(uint64(left))
		err = fmt.Errorf("%d lines could not be written: %w", left, w.failed)
	}
	return errors.Join(err, w.out.Close())
}
