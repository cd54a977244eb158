package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/admin"
)

// Bounds of an interval: less is noise, more is not live.
const (
	leastInterval = 100 * time.Millisecond
	mostInterval  = time.Hour
)

func runTop(env *environment, args []string) int {
	f := env.flags("top")
	to := f.process()
	t := &top{interval: time.Second, answers: make(chan answer, 1)}
	f.Func("interval", "", func(s string) (err error) {
		t.interval, err = time.ParseDuration(s)
		if err != nil || t.interval < leastInterval || t.interval > mostInterval {
			return fmt.Errorf("choose a time from %s to %s, such as 500ms or 2s", leastInterval, mostInterval)
		}
		return nil
	})
	once := f.Bool("once", false, "")
	if code, done := f.parse(args); done {
		return code
	}
	var err error
	if t.client, err = to.client(); err != nil {
		return env.failed(err)
	}
	first := t.ask()
	if first.err != nil {
		return to.unanswered(first.err)
	}
	t.take(first)
	screen := terminalOf(env.stdout)
	if *once || screen == nil {
		err = t.print(env, *once)
	} else {
		t.paint = painter(env.stdout)
		err = t.live(screen)
	}
	if err != nil {
		return env.failed(err)
	}
	return exitOK
}

// top watches a process.
type top struct {
	client   *admin.Client
	interval time.Duration
	paint    func(color, s string) string

	last    *admin.Metrics // the latest answer
	latest  *interval      // up to it; nil: there is none yet
	trouble error          // why there is no newer one

	answers chan answer
	asking  bool

	shown  *interval // latest, unless paused
	paused bool
	order  int
}

// answer is an answer, or why there is none.
type answer struct {
	metrics *admin.Metrics
	err     error
}

// patience is how long an answer may take, behind those that others have asked for.
const patience = 5 * time.Second

func (t *top) ask() answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := t.client.Metrics(ctx)
	return answer{m, err}
}

// take works an answer in. That of another process begins anew.
func (t *top) take(r answer) {
	t.asking = false
	if t.trouble = r.err; r.err != nil {
		return
	}
	t.latest = nil
	if t.last != nil {
		t.latest = between(t.last, r.metrics)
	}
	t.last = r.metrics
	if !t.paused && t.latest != nil {
		t.shown = t.latest
	}
}

// print writes a block for each interval, or one.
func (t *top) print(env *environment, once bool) error {
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for lost := false; ; {
		now := <-tick.C
		t.take(t.ask())
		switch {
		case t.trouble != nil && once:
			return errors.New(printable(t.trouble.Error()))
		case t.trouble != nil:
			if !lost {
				why := printable(t.trouble.Error())
				fmt.Fprintf(env.stderr, "uringproxy: %s; trying again every %s\n", why, t.interval)
			}
			lost = true
			continue
		case t.latest == nil: // another process
			continue
		}
		lost = false
		p := picture{shown: t.latest, now: t.last, paint: func(_, s string) string { return s }}
		block := now.Format("15:04:05 ") + strings.Join(p.draw(), "\n") + "\n"
		if !once {
			block += "\n"
		}
		if _, err := fmt.Fprint(env.stdout, block); err != nil || once {
			return err
		}
	}
}

// live draws on a terminal until the user has seen enough.
func (t *top) live(screen *os.File) error {
	term, err := takeTerminal(screen)
	if err != nil {
		return err
	}
	defer term.release()
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for {
		if err := t.draw(term); err != nil {
			return fmt.Errorf("write to the terminal: %w", err)
		}
		select {
		case r := <-t.answers:
			t.take(r)
		case <-tick.C:
			t.askBeside(term)
		case key := <-term.keys:
			if t.key(key, term) {
				return nil
			}
		case s := <-term.signals:
			switch s {
			case unix.SIGWINCH: // draw asks for the size each time
			case unix.SIGTSTP:
				if err := term.suspend(); err != nil {
					return err
				}
			default:
				return nil
			}
		}
	}
}

// askBeside asks without keeping the user waiting.
func (t *top) askBeside(term *terminal) {
	if t.asking {
		return
	}
	t.asking = true
	go func() {
		defer term.restoreInPanic()
		t.answers <- t.ask()
	}()
}

// key does what a key is for; it tells whether that is to leave.
func (t *top) key(key byte, term *terminal) (leave bool) {
	switch key {
	case 'q', 'Q', 3, 4: // and what ctrl-C and ctrl-D are where they are no more than that
		return true
	case 's', 'S':
		t.order = (t.order + 1) % orders
	case 'p', 'P':
		t.paused = !t.paused
	case ' ':
		t.shown = t.latest
		t.askBeside(term)
	}
	return false
}

// draw writes a whole screen at once, so that nothing flickers.
func (t *top) draw(term *terminal) error {
	p := picture{
		shown: t.shown, now: t.last, order: t.order, paint: t.paint,
		foot: fmt.Sprintf("q quit   s sort, by %s   p pause   space refresh", orderNames[t.order]),
	}
	p.columns, p.lines = term.size()
	if t.trouble != nil {
		p.trouble = printable(fmt.Sprintf("%v; trying again every %s", t.trouble, t.interval))
	}
	if t.paused {
		p.foot = "PAUSED   " + p.foot
	}
	lines := p.draw()
	_, err := term.file.WriteString(home + strings.Join(lines, clearLine+"\r\n") + clearLine + clearBelow)
	return err
}
