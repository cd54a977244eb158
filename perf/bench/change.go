package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

const (
	// liveLimit is how long after a phase the last change may take to be live, and repeatAfter how long until the proxy
	// is told of it once more: one that is busy with a change may miss the next signal.
	liveLimit   = 60 * time.Second
	repeatAfter = 5 * time.Second
	// longestPause is the longest time from one look for a change to the next.
	longestPause = 16 * time.Millisecond
	// rehearsed is about how long a change takes to be live, in which the newest route is asked for again and again.
	rehearsed = 40 * time.Millisecond
	// background is the nice value of what we do while others are measured.
	background = 19
)

// changes is what became of the changes of a phase.
type changes struct {
	written int
	// live counts those that were seen to work before the next one was written. The rest were late, or went into one
	// with later ones.
	live int
	// liveAfter is the median time from the begin of writing a change to the first answer that it made possible.
	liveAfter time.Duration
	// repeated counts how often the proxy had to be told once more of the last change, after the phase.
	repeated int
}

// changer changes the configuration of a proxy.
type changer struct {
	kind    *kind
	site    *site
	process *peer.Process
	every   time.Duration
}

// rehearse does for as long as a phase lasts what run does, except that nobody is told: writing configurations and
// asking for routes disturbs the load generator and the upstream, whose core it shares, in both kinds of phases alike.
func (c *changer) rehearse(ctx context.Context, length time.Duration) error {
	return inBackground(func() error {
		start := time.Now()
		for at := time.Duration(0); at < length; at += c.every {
			if err := pause(ctx, time.Until(start.Add(at))); err != nil {
				return err
			}
			if err := c.unread(); err != nil {
				return err
			}
			for wait, end := time.Millisecond, time.Now().Add(rehearsed); time.Now().Before(end); {
				c.site.answers(c.site.newest(), end)
				if err := pause(ctx, min(wait, time.Until(end))); err != nil {
					return err
				}
				wait = min(2*wait, longestPause)
			}
		}
		return nil
	})
}

// unread writes the configuration to a file that the proxy knows nothing of.
func (c *changer) unread() error {
	text, err := c.kind.files[0].render(c.site)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "unread")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// inBackground runs work in the background of the load generator's core, on a thread of its own that ends with it.
func inBackground(work func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), background); err == nil {
			err = work()
		}
	}()
	<-done
	if err != nil {
		return fmt.Errorf("change configuration: %w", err)
	}
	return nil
}

// run makes changes at regular times for as long as a phase lasts.
func (c *changer) run(ctx context.Context, length time.Duration, switching bool) (sum changes, err error) {
	err = inBackground(func() (err error) {
		sum, err = c.loop(ctx, length, switching)
		return err
	})
	return sum, err
}

func (c *changer) loop(ctx context.Context, length time.Duration, switching bool) (changes, error) {
	var sum changes
	var after []float64
	start := time.Now()
	for at := time.Duration(0); at < length; at += c.every {
		if err := pause(ctx, time.Until(start.Add(at))); err != nil {
			return sum, err
		}
		began := time.Now()
		c.site.change(switching)
		if err := c.kind.apply(c.site, c.process); err != nil {
			return sum, err
		}
		sum.written++
		live, err := c.awaitLive(ctx, start.Add(at+c.every))
		if err != nil {
			return sum, err
		}
		if live {
			sum.live++
			after = append(after, float64(time.Since(began)))
		}
	}
	sum.liveAfter = time.Duration(result.SpreadOf(after).Median)
	return sum, nil
}

// awaitLive asks for the newest route until it answers, more and more slowly. It reports whether it did by the
// deadline.
func (c *changer) awaitLive(ctx context.Context, deadline time.Time) (bool, error) {
	for wait := time.Millisecond; time.Now().Before(deadline); wait = min(2*wait, longestPause) {
		if c.site.answers(c.site.newest(), deadline) {
			return true, nil
		}
		if err := pause(ctx, min(wait, time.Until(deadline))); err != nil {
			return false, err
		}
	}
	return false, nil
}

// awaitLast waits until the last change is live. It returns how often that had to be asked for again.
func (c *changer) awaitLast(ctx context.Context) (repeated int, err error) {
	for limit := time.Now().Add(liveLimit); ; repeated++ {
		live, err := c.awaitLive(ctx, time.Now().Add(repeatAfter))
		if live || err != nil {
			return repeated, err
		}
		if time.Now().After(limit) {
			return repeated, c.process.Failure(fmt.Sprintf("the last change was not live after %s", liveLimit))
		}
		if err := c.kind.apply(c.site, c.process); err != nil {
			return repeated, err
		}
	}
}

// answers reports whether a host is answered with 200 on a new connection.
func (s *site) answers(host string, deadline time.Time) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	c, err := (&net.Dialer{Deadline: deadline}).Dial("tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(deadline) // if it cannot be set, reading fails as well
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", load.AnswerPath, host)
	var status [12]byte
	_, err = io.ReadFull(c, status[:])
	return err == nil && string(status[:]) == "HTTP/1.1 200"
}

// pause waits, or returns why the measurement ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
