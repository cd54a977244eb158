// Package watch tells when configuration files, or files that they name, may have changed.
//
// It watches directories, not files: editors and deployments replace files by renaming others over them, and a symbolic
// link on the way may be pointed elsewhere. Notifications by the kernel are what makes it fast, and nothing that it
// depends on: the state of the same files is looked at every few seconds too, for file systems that notify nobody, and
// for when the kernel's limits leave no watch for us.
//
// Its invariants: after the last change of a file there is a call of Changed; many changes in a row make one call. It
// reads no file's content: whether there really is something new is its caller's to find out.
//
// It is the only importer of fsnotify, asks config which files of a directory count, and is imported by control.
package watch

import (
	"context"
	"log/slog"
	"time"
)

// Options say what to watch, and whom to tell.
type Options struct {
	// Paths are files, and directories whose *.toml files count. They need not exist.
	Paths []string
	// Material, when there is one, returns the files, and the directories of files, that the configuration names: with
	// certificates, keys and what goes with them. It is asked again whenever something may have changed.
	Material func() []string
	Log      *slog.Logger
	// Changed is called on Run's goroutine, one call at a time: once at the beginning, for what was missed before, and
	// whenever something may have changed.
	Changed func()
}

const (
	// lookInterval is how often the files' state is looked at without having been told of a change.
	lookInterval = 5 * time.Second
	// quietTime is how long nothing must have happened before Changed is called, and patience how long a change waits
	// for that at most.
	quietTime = 100 * time.Millisecond
	patience  = time.Second
)

// Run watches until ctx ends.
func Run(ctx context.Context, opts Options) {
	w := &watcher{opts: opts, open: openNotifier}
	w.run(ctx)
}

// watcher is the state of one Run.
type watcher struct {
	opts     Options
	open     func() (*notifier, error)
	notifier *notifier // nil while there is none
	blind    bool      // not every directory has a watch; this was logged
	places   places
	state    uint64 // of the files, when they were looked at last
	burst    burst
	settle   *time.Timer
}

func (w *watcher) run(ctx context.Context) {
	defer w.drop()
	w.settle = time.NewTimer(0)
	defer w.settle.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		var happened <-chan string
		var lost <-chan error
		if w.notifier != nil {
			happened, lost = w.notifier.happened, w.notifier.lost
		}
		select {
		case <-ctx.Done():
			return
		case name := <-happened:
			if w.places.concern(name) {
				w.stir()
			}
		case err := <-lost:
			w.opts.Log.Debug("notifications about configuration files were lost", "error", err)
			w.stir()
		case <-w.settle.C:
			w.burst.end()
			w.refresh()
			w.state = w.places.state()
			w.opts.Changed()
			w.look() // what Changed has read may name other files
		case <-look.C:
			w.look()
		}
	}
}

// look finds out by itself whether something has changed.
func (w *watcher) look() {
	w.refresh()
	if state := w.places.state(); state != w.state {
		w.state = state
		w.stir()
	}
}

// stir notes that something happened: Changed is called when it has become quiet.
func (w *watcher) stir() {
	now := time.Now()
	w.burst.note(now)
	w.settle.Reset(w.burst.due().Sub(now))
}

// refresh finds out where the paths lead now, and has those directories watched and no others.
func (w *watcher) refresh() {
	w.places = places{}
	w.places.find(w.opts.Paths, configuration)
	if w.opts.Material != nil {
		w.places.find(w.opts.Material(), material)
	}
	err := w.cover()
	switch {
	case err != nil && !w.blind:
		w.opts.Log.Warn("configuration files are not watched, changes take some seconds to be noticed",
			"error", err, "interval", lookInterval, "advice", advice(err))
	case err == nil && w.blind:
		w.opts.Log.Info("configuration files are watched again")
	}
	w.blind = err != nil
}

func (w *watcher) cover() error {
	if w.notifier == nil {
		n, err := w.open()
		if err != nil {
			return err
		}
		w.notifier = n
	}
	return w.notifier.cover(w.places)
}

func (w *watcher) drop() {
	if w.notifier != nil {
		w.notifier.close()
	}
}

// burst is a row of changes that is to make one call.
type burst struct{ first, last time.Time }

func (b *burst) note(now time.Time) {
	if b.first.IsZero() {
		b.first = now
	}
	b.last = now
}

// due is when to stop waiting for the burst's end.
func (b *burst) due() time.Time {
	due := b.last.Add(quietTime)
	if limit := b.first.Add(patience); limit.Before(due) {
		return limit
	}
	return due
}

func (b *burst) end() { *b = burst{} }
