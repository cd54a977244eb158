package mem

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A pipe is opened when it is first asked for, stays open when it is given back empty, and is closed when it is given
// back with bytes in it, which nobody else may get.
func TestPipes(t *testing.T) {
	a, err := NewArena(Sizes{Small: 1, Bulk: 1, Head: 1, BulkBytes: 4096, Pipes: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	check := func(when string, open int, bytes int64) {
		t.Helper()
		if o, b := a.Pipes(); o != open || b != bytes {
			t.Errorf("%s: %d pipes are open with %d bytes, want %d with %d", when, o, b, open, bytes)
		}
	}
	check("at first", 0, 0)
	buf, ok := a.Take(Pipe)
	if !ok || buf.Class() != Pipe {
		t.Fatalf("took %v, %v", buf, ok)
	}
	ends := a.Pipe(buf)
	if ends == nil {
		t.Fatal("no pipe can be had")
	}
	check("asked for", 1, 0)
	write := func(text string) {
		t.Helper()
		n, err := unix.Write(int(ends.Write), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		a.Moved(buf, int32(n))
	}
	write("some")
	check("filled", 1, 4)
	var room [10]byte
	n, err := unix.Read(int(ends.Read), room[:])
	if err != nil || string(room[:n]) != "some" {
		t.Fatalf("read %q, %v", room[:n], err)
	}
	a.Moved(buf, -int32(n))
	a.Drop(buf)
	check("given back empty", 1, 0)
	if buf, _ = a.Take(Pipe); a.Pipe(buf) != ends {
		t.Error("the pipe that is open is not the next one")
	}
	write("to nobody")
	a.Drop(buf)
	check("given back full", 0, 0)
	buf, _ = a.Take(Pipe)
	ends = a.Pipe(buf)
	if _, err := unix.Read(int(ends.Read), room[:]); err != unix.EAGAIN {
		t.Errorf("a fresh pipe gives %v", err)
	}
	if _, ok := a.Take(Pipe); !ok {
		t.Error("there is no second pipe")
	}
	if _, ok := a.Take(Pipe); ok {
		t.Error("there is a third pipe")
	}
}
