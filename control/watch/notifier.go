package watch

import (
	"errors"
	"fmt"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// notifier is the kernel's way to tell of changes in directories.
type notifier struct {
	happened <-chan string // paths of entries that came, went or changed
	lost     <-chan error  // more may have happened than was told
	add      func(dir string) error
	remove   func(dir string) error
	watched  func() []string
	close    func()
}

func openNotifier() (*notifier, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	happened, ended := make(chan string), make(chan struct{})
	go func() {
		for ev := range w.Events {
			select {
			case happened <- ev.Name:
			case <-ended:
			}
		}
	}()
	return &notifier{
		happened: happened, lost: w.Errors, add: w.Add, remove: w.Remove, watched: w.WatchList,
		close: func() {
			close(ended)
			_ = w.Close() // nobody listens any more
		},
	}, nil
}

// cover watches the directories of p and no others. What the kernel has forgotten, such as a directory that was removed
// and made again, is not among those watched. The error is the first of those there were.
func (n *notifier) cover(p places) error {
	stale := map[string]bool{}
	for _, dir := range n.watched() {
		stale[dir] = true
	}
	var failed error
	for dir := range p {
		if stale[dir] {
			delete(stale, dir)
			continue
		}
		err := n.add(dir)
		if err != nil && failed == nil && !errors.Is(err, unix.ENOENT) { // gone just now: there is a next time
			failed = fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	for dir := range stale {
		_ = n.remove(dir) // it may have gone by itself
	}
	return failed
}

// advice is what to do about a watch that cannot be had.
func advice(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "raise the limit: sysctl fs.inotify.max_user_watches"
	case errors.Is(err, unix.EMFILE):
		return "raise the limit: sysctl fs.inotify.max_user_instances"
	case errors.Is(err, unix.EACCES):
		return "let the process read that directory"
	}
	return "changes can also be read by SIGHUP or: uringproxy reload"
}
