package sched

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShortSlices: the calling thread gets them, and keeps its niceness, where the kernel has them at all.
func TestShortSlices(t *testing.T) {
	var before, after *unix.SchedAttr
	var err1, err2 error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: nobody else is to have this thread
		before, err1 = unix.SchedGetAttr(0, 0)
		ShortSlices()
		after, err2 = unix.SchedGetAttr(0, 0)
	}()
	<-done
	switch {
	case err1 != nil || err2 != nil:
		t.Fatal(err1, err2)
	case before.Runtime == 0: // before Linux 6.12 there are no slices to ask for
		t.Logf("this kernel has none: %+v", after)
	case after.Runtime != slice || after.Nice != before.Nice || after.Policy != before.Policy:
		t.Errorf("before %+v, after %+v", before, after)
	}
}
