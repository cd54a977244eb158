package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// room is where one entry is received: its first bytes into head, and what that does not hold into rest, behind as many
// bytes as head has, so that the beginning can be moved there.
type room struct{ head, rest mem.Buf }

// What a batch prepares for, beyond what the last one brought.
const (
	firstBatch = 2 // when the last one brought nothing
	largeBatch = 8 // of entries that fill Bulk buffers
)

// Receive implements RecvDatagrams.
func (x *IO) Receive(fd int32, s *Socket, out []engine.Datagram) int {
	*s &^= bitTold
	if e := s.take(); e != 0 {
		return -int(e)
	}
	n, bytes := 0, uint32(0)
	for n < len(out) && n < engine.DatagramsMax && bytes < bytesMax {
		batch := out[n:min(len(out), engine.DatagramsMax, n+s.batch(n))]
		asked, got, e := x.receive(fd, s, batch)
		if e != 0 {
			if n == 0 {
				s.setLast(0)
				return -int(e)
			}
			if e != unix.ENOBUFS {
				s.keep(e)
			}
			break
		}
		for i := range batch[:got] {
			bytes += batch[i].Span.Len
		}
		n += got
		if got < asked || asked == 0 {
			break
		}
	}
	s.setLast(n)
	return n
}

// batch is how many entries to prepare for after n of this Receive: twice as many as there were last, since each costs
// something even if nothing comes.
func (s Socket) batch(n int) int {
	size := 2*max(s.last(), n) + firstBatch
	if s&bitLarge != 0 {
		size = min(size, largeBatch)
	}
	return size
}

// receive makes one system call. It returns for how many entries there were buffers and how many have come; an errno
// means that none have, and 0 of 0 that the socket is empty.
func (x *IO) receive(fd int32, s *Socket, out []engine.Datagram) (asked, got int, e unix.Errno) {
	asked = x.prepare(len(out), *s&bitLarge != 0)
	if asked == 0 {
		x.NoBufs++
		return 0, 0, unix.ENOBUFS
	}
	got, e = x.call(unix.SYS_RECVMMSG, fd, asked)
	if e != 0 {
		got = 0
	}
	large := false
	for i := range got {
		x.collect(i, *s&bitSix != 0, &out[i])
		large = large || out[i].Span.Len > mem.SmallBytes
	}
	for i := got; i < asked; i++ {
		x.arena.Drop(x.held[i].head)
		x.arena.Drop(x.held[i].rest)
	}
	switch {
	case e == unix.EAGAIN:
		s.empty()
		return 0, 0, 0
	case e != 0:
		*s &^= bitFailed
		return asked, 0, e
	case got < asked:
		s.drained()
	}
	*s &^= bitLarge
	if large {
		*s |= bitLarge
	}
	return asked, got, 0
}

// prepare takes buffers for as many entries as asked, or as there are buffers for, and points the messages at them.
func (x *IO) prepare(asked int, large bool) int {
	k := x.cells
	for i := range asked {
		r, ok := x.take(large)
		if !ok {
			return i
		}
		x.held[i] = r
		head := x.arena.Data(r.head)
		k.pieces[2*i] = x.piece(head.Off, head.Len)
		m := &k.messages[i]
		*m = message{
			name: address(unsafe.Pointer(&k.names[i])), nameLen: nameBytes,
			iov: address(unsafe.Pointer(&k.pieces[2*i])), iovLen: 1,
			control: address(unsafe.Pointer(&k.controls[i])), controlLen: controlBytes,
		}
		if r.rest != mem.NoBuf {
			rest := x.arena.Data(r.rest)
			k.pieces[2*i+1] = x.piece(rest.Off+head.Len, rest.Len-head.Len)
			m.iovLen = 2
		}
	}
	return asked
}

func (x *IO) piece(off, n uint32) piece {
	return piece{base: address(unsafe.Add(x.base, off)), len: uint64(n)}
}

// take takes the buffers of one entry: a Bulk buffer where large ones are expected, else a Small one, and a Bulk one
// behind it for what might come. Without any Bulk buffer only what fits a Small one is received whole.
func (x *IO) take(large bool) (room, bool) {
	bulk, ok := x.arena.TakeToReceive(mem.Bulk)
	if ok && large {
		return room{head: bulk, rest: mem.NoBuf}, true
	}
	small, had := x.arena.TakeToReceive(mem.Small)
	switch {
	case had && ok && x.arena.Data(bulk).Len > mem.SmallBytes:
		return room{head: small, rest: bulk}, true
	case had:
		x.arena.Drop(bulk)
		return room{head: small, rest: mem.NoBuf}, true
	case ok:
		return room{head: bulk, rest: mem.NoBuf}, true
	}
	return room{}, false
}

// collect makes entry number i, which was received, a Datagram.
func (x *IO) collect(i int, six bool, d *engine.Datagram) {
	k, r := x.cells, x.held[i]
	m := &k.messages[i]
	*d = engine.Datagram{Buf: r.head, Truncated: m.flags&unix.MSG_TRUNC != 0, Peer: name(&k.names[i], six)}
	beside := control{b: &k.controls[i], used: m.controlLen}
	beside.read(d)
	head := x.arena.Data(r.head)
	d.Span = mem.Span{Off: head.Off, Len: m.n}
	if m.n > head.Len {
		rest := x.arena.Data(r.rest)
		copy(x.arena.Bytes(rest), x.arena.Bytes(head))
		x.arena.Drop(r.head)
		d.Span.Off, d.Buf = rest.Off, r.rest
	} else {
		x.arena.Drop(r.rest)
	}
	if size := uint32(d.Segment); size >= d.Span.Len {
		d.Segment = 0 // it is one
	} else if size != 0 && d.Truncated {
		d.Span.Len -= d.Span.Len % size
	}
	if d.Span.Len == 0 {
		x.arena.Drop(d.Buf)
		d.Span, d.Buf = mem.Span{}, mem.NoBuf
	}
}
