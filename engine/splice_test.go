package engine

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine/mem"
)

// tcpEnds are the descriptors of both ends of a loopback connection; the second one does not block.
func tcpEnds(tb testing.TB) (ours net.Conn, theirs int) {
	tb.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	if ours, err = net.Dial("tcp4", ln.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	file, err := far.(*net.TCPConn).File()
	if err != nil {
		tb.Fatal(err)
	}
	far.Close()
	tb.Cleanup(func() { ours.Close(); file.Close() })
	unix.SetNonblock(int(file.Fd()), true)
	return ours, int(file.Fd())
}

// What is received behind urgent data does not take the last Small buffers either.
func TestBehindMarkLeavesBuffers(t *testing.T) {
	arena, err := mem.NewArena(mem.Sizes{Small: 16, Bulk: 1, Head: 1, BulkBytes: 4096, Pipes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	var last mem.Buf
	for arena.Receivable(mem.Small) > 0 {
		last, _ = arena.TakeToReceive(mem.Small)
	}
	ours, theirs := tcpEnds(t)
	raw, err := ours.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Write([]byte("behind")); err != nil {
		t.Fatal(err)
	}
	c, calls := &Conn{FD: int32(theirs), Most: 1 << 16}, uint64(0)
	var ev Event
	if res := RecvSpliced(c, arena, &ev, &calls); res != -int32(unix.ENOBUFS) {
		t.Fatalf("received with %d though no buffer is for that", res)
	}
	arena.Drop(last)
	if res := RecvSpliced(c, arena, &ev, &calls); res != 6 || string(arena.Bytes(ev.Data())[:res]) != "behind" {
		t.Fatalf("received with %d", res)
	}
}

// BenchmarkMove moves pieces from one connection to another, by copying them and through a pipe: the break-even point
// by which package proxy chooses. The time of the writer and of the reader is not counted.
func BenchmarkMove(b *testing.B) {
	for _, size := range []int{1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("copied/%d", size), func(b *testing.B) { benchmarkMove(b, size, copied) })
		b.Run(fmt.Sprintf("piped/%d", size), func(b *testing.B) { benchmarkMove(b, size, piped) })
	}
}

// mover moves what from has to to, and returns how many bytes that was.
type mover func(b *testing.B, arena *mem.Arena, from, to *Conn) int

func copied(b *testing.B, arena *mem.Arena, from, to *Conn) int {
	buf, _ := arena.Take(mem.Bulk)
	defer arena.Drop(buf)
	n, _, err := unix.Recvfrom(int(from.FD), arena.Bytes(arena.Data(buf)), unix.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	if _, err := unix.SendmsgN(int(to.FD), arena.Bytes(arena.Data(buf))[:n], nil, nil, 0); err != nil {
		b.Fatal(err)
	}
	return n
}

func piped(b *testing.B, arena *mem.Arena, from, to *Conn) int {
	var ev Event
	var calls uint64
	n := RecvSpliced(from, arena, &ev, &calls)
	if n == -int32(unix.EAGAIN) {
		return 0
	}
	defer arena.Drop(ev.Buf)
	if n <= 0 || SpliceOut(to, arena, ev.Buf, uint32(n)) != n {
		b.Fatal("a piece was not moved at once")
	}
	return int(n)
}

func benchmarkMove(b *testing.B, size int, move mover) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	arena, err := mem.NewArena(mem.Sizes{Small: 1, Bulk: 1, Head: 1, BulkBytes: 256 << 10, Pipes: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	writer, in := tcpEnds(b)
	reader, out := tcpEnds(b)
	from, to := &Conn{FD: int32(in), Most: mem.PipeBytes}, &Conn{FD: int32(out)}
	piece, room := make([]byte, size), make([]byte, 256<<10)
	b.SetBytes(int64(size))
	spent := time.Duration(0)
	for range b.N {
		if _, err := writer.Write(piece); err != nil {
			b.Fatal(err)
		}
		for moved := 0; moved < size; {
			begin := time.Now()
			n := move(b, arena, from, to)
			spent += time.Since(begin)
			moved += n
			for n > 0 {
				k, err := reader.Read(room[:n])
				if err != nil {
					b.Fatal(err)
				}
				n -= k
			}
		}
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/piece")
}
