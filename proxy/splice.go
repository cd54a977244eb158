package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

// volume is how much has come on a connection of late. It decides how the next piece of a stream or of a body is
// received, by what was measured (perf/README.md): two system calls that move a piece through a pipe cost as much as
// two that copy it when it has 4 KiB, half as much from 16 KiB on; and to wait for a single piece costs more than to
// have a stream armed when pieces are small.
//
//	the pieces had        the next is received
//	less than a Small     as a stream into Small buffers
//	less than pipeWorth   into a Bulk buffer, and sent from there
//	more                  into a Pipe buffer, when nobody has to look at it: neither side speaks TLS, and of a body
//	                      it is known that much is still to come. Otherwise into a Bulk buffer
//
// When buffers of a kind are spent the next simpler kind is used. In a tunnel it takes several smaller pieces in a row
// until the volume falls: among many fast streams there is always a piece that is small by chance, and a stream that is
// armed then fills hundreds of Small buffers before it has ended.
type volume uint8

const (
	volumeSmall volume = iota
	volumeBulk
	volumePipe
)

const (
	pipeWorth  = 16 << 10 // the size of pieces from which on a pipe is used
	pipeBody   = 64 << 10 // the rest of a body from which on one is used, however small its pieces have been
	calmPieces = 8        // smaller pieces in a row after which the volume of a tunnel falls
)

// volumeOf tells the volume that a piece of n bytes stands for.
func volumeOf(n uint32) volume {
	switch {
	case n < mem.SmallBytes:
		return volumeSmall
	case n < pipeWorth:
		return volumeBulk
	}
	return volumePipe
}

// weigh notes that a piece of n bytes has come.
func (l *link) weigh(n uint32) {
	v := volumeOf(n)
	if l.state == stateTunnel && v < l.volume {
		if l.calm++; l.calm < calmPieces {
			return
		}
	}
	l.volume, l.calm = v, 0
}

// receiveStream arms a receive of whatever comes.
func (w *Worker) receiveStream(l *link, c *engine.Conn) {
	l.set(flagStreamed | flagReceiving)
	l.clear(flagPiped)
	w.be.Recv(c, engine.RecvStream)
}

// receivePiece arms a receive of one piece.
func (w *Worker) receivePiece(l *link, c *engine.Conn) {
	l.clear(flagStreamed | flagPiped)
	l.set(flagReceiving)
	if most := w.pipeable(l); most > 0 {
		l.set(flagPiped)
		w.be.RecvPipe(c, most)
		return
	}
	w.be.Recv(c, w.recvMode(l))
}

// pipeable is how many of the bytes that l receives next may go through a pipe; 0: none.
func (w *Worker) pipeable(l *link) uint32 {
	if l.has(flagSecure) || w.mem.Free(mem.Pipe) == 0 || w.sh.Now() < w.pipeless || w.waiting(l) >= bulkPieces {
		return 0
	}
	if l.state == stateTunnel {
		if o, _ := w.across(l); o == nil || o.has(flagSecure) || l.volume < volumePipe {
			return 0
		}
		return mem.PipeBytes
	}
	if l.state != stateBusy {
		return 0
	}
	x := w.exs.At(l.ex)
	to, f := x.client, &x.down
	if l.kind == kindClient {
		to, f = x.upstream, &x.up
	} else if !x.has(exAnswered) {
		return 0
	}
	if f.framing != framingLength || f.left < pipeBody {
		return 0
	}
	// What an endpoint is sent while its connection is still being opened may have to be sealed.
	if to == 0 || w.links[to-1].state != stateBusy || w.links[to-1].has(flagSecure) {
		return 0
	}
	return uint32(min(f.left, mem.PipeBytes))
}

// pipelessFor is how long no pipe is asked for after one could not be opened.
const pipelessFor = 1e9

// noPipe handles a receive that found no pipe: the bytes take another way. One that could not be opened, because
// descriptors are short or the user's pipes hold too much (pipe(7), pipe-user-pages-soft), is not to be had soon.
func (w *Worker) noPipe() {
	if n := w.mem.PipesFailed(); n != w.pipesFailed {
		w.pipesFailed, w.pipeless = n, w.sh.Now()+pipelessFor
	}
}

// sendPipe sends the first chunk of l's queue when that is in a pipe.
func (w *Worker) sendPipe(l *link, c *engine.Conn) bool {
	first := w.chunks.At(l.out.head)
	if first.buf.Class() != mem.Pipe {
		return false
	}
	w.be.SendPipe(c, first.buf, first.span.Len)
	return true
}

// countPath records by which way n bytes of a stream have come.
func (w *Worker) countPath(class mem.Class, n uint64) {
	switch class {
	case mem.Pipe:
		w.m.Add(metrics.BytesSpliced, n)
	case mem.Bulk:
		w.m.Add(metrics.BytesBulk, n)
	default:
		w.m.Add(metrics.BytesCopied, n)
	}
}
