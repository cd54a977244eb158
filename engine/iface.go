// Package engine is the contract between a shard and the kernel: what an I/O backend must do.
//
// # Shape
//
// A backend serves one shard. It turns wishes about sockets (receive, send, connect, close) into
// events about what came of them. Its semantics are those of completion: the caller states what is to
// be done, hands over the memory, and is told when it has been done. engine/uring does so natively;
// engine/epoll performs the operation when the socket is ready and reports it as if the kernel had;
// engine/sim does it in memory, with faults. All pass the same suite, engine/enginetest.
//
// # Rules
//
//  1. Every method but Wake is called on the shard's own thread, which is locked to its goroutine and is the
//     thread that called Open.
//  2. A backend never calls back. Methods queue work and return; what happened is reported by the next
//     Poll, in the slice that the caller gave. An operation that could be finished at once is still
//     reported by Poll, never inside the method.
//  3. Events of one connection come in the order in which the things happened to it. Nothing is said about the
//     order between connections.
//  4. A connection has at most one receive armed, one send in flight and one connect in flight; asking for a
//     second is a bug of the caller, and fails under the invariant tag.
//  5. Memory is named by spans of the shard's arena. From Send to its EvSent the spans' bytes belong to the
//     backend and must not change. A received buffer belongs to the caller from its event until the caller drops
//     it (mem.Arena.Drop); each EvRecv with data carries one reference.
//  6. A file descriptor belongs to the backend from Attach or Connect until EvClosed; nobody else closes it.
//     Close has three steps, each finished before the next: shut (no new operation, the peer is told),
//     join (every operation in flight has ended), release (close(2), then EvClosed). Only then may the
//     slot be reused.
//  7. After Close the only event of that connection from a later Poll is EvClosed. What still arrives for it inside
//     the backend is settled there: buffers are recycled, results ignored. Events that stand further back in the batch
//     being worked off are the caller's to settle.
//  8. Back-pressure is not receiving. A receive that finds its buffer class empty ends with -ENOBUFS and nothing is
//     lost: armed again later, it delivers what was waiting.
//  9. Datagrams are no stream: a UDP socket is told of, not received for. Their two methods do at once what they are
//     asked; Recv, RecvCancel, Send and CloseWrite are not for it, Close and the rules about slots are.
//  10. No method allocates, blocks or takes a lock, except Open, Listen and Shutdown. Poll blocks only
//     in its one wait.
//
// The package holds the contract and the types that both sides share; it performs no I/O. It may import engine/mem
// and internal/* only.
package engine

import (
	"net/netip"
	"sync/atomic"

	"github.com/uringproxy/uringproxy/engine/mem"
)

// Backend is one shard's way to its sockets.
type Backend interface {
	// Open sets the backend up on the calling thread, which must be locked and stay the shard's. It
	// fails with an error that names the missing kernel feature or limit; nothing is left behind then.
	Open(env Env) error

	// Info describes what was chosen. Valid after Open.
	Info() Info

	// Listen starts accepting on fd, a non-blocking listening socket which remains the caller's, under
	// the number l. Each accepted socket is one EvAccept; it is non-blocking and close-on-exec.
	Listen(l uint16, fd int) error

	// Unlisten stops accepting on l; connections in its queue stay there for the next Listen. Events of
	// sockets already accepted may still come from the current Poll batch, none from a later one.
	Unlisten(l uint16)

	// Attach makes fd, just accepted, the socket of c.
	Attach(c *Conn, fd int)

	// Connect opens a socket of to's family with TCP_NODELAY for c and connects it. One EvConnected follows, whose
	// Res is 0 or a negative errno (also when no socket could be had: -EMFILE). On failure c still has
	// to be closed. to is read before Connect returns.
	Connect(c *Conn, to *Addr)

	// Recv arms a receive. With RecvStream it stays armed until it ends by itself or by RecvCancel, with the other
	// modes it ends after one event. Each piece of data is one EvRecv; FlagMore on it means that
	// the receive is still armed, its absence that it has ended. Res is the number of bytes; 0 the peer's end of
	// stream; negative an errno. The last two never carry FlagMore.
	Recv(c *Conn, mode RecvMode)

	// RecvPipe is Recv, once, into a Pipe buffer: at most most bytes, which are not copied. EvRecv has the buffer, and
	// the number of bytes that are in it. There may be more waiting than a pipe holds. What stands behind urgent data,
	// past which pipes do not get, comes in a Small buffer. -ENOBUFS is also the answer when no pipe could be opened.
	RecvPipe(c *Conn, most uint32)

	// RecvCancel asks an armed receive to end. Data may still come; the last event is an EvRecv without FlagMore,
	// with Res -ECANCELED when there was nothing else to report. Without an armed receive it does nothing.
	RecvCancel(c *Conn)

	// Send sends the spans' bytes in order; there are between 1 and SendSpansMax spans, none empty. One EvSent follows
	// with the number of bytes taken by the socket, at least 1 and possibly fewer than asked, or a negative errno;
	// -EAGAIN is no failure: the socket was full, and now there is room to send the same again. With more the kernel is
	// told that another send follows at once (MSG_MORE). The spans slice itself is read before Send returns.
	Send(c *Conn, spans []mem.Span, more bool)

	// SendPipe is Send of the first n bytes that are in pipe, of class mem.Pipe; they leave it as they are sent. From
	// SendPipe to its EvSent the pipe belongs to the backend.
	SendPipe(c *Conn, pipe mem.Buf, n uint32)

	// CloseWrite sends the end of stream after what was sent (half-close). No Send may be in flight or follow.
	CloseWrite(c *Conn)

	// AttachDatagrams makes fd, a non-blocking UDP socket that is bound, the socket of c, and sets those of its options
	// that the other methods need. It returns 0, or a negative errno; fd and c are then as before. From then on one
	// EvReadable comes when there is something to receive, and no further one before RecvDatagrams was called.
	AttachDatagrams(c *Conn, fd int) int

	// ConnectDatagrams opens a UDP socket of to's family for c and connects it, which takes no time and sends nothing.
	// It returns 0, and c is as after AttachDatagrams; or a negative errno, and c is as before. to is read before it
	// returns.
	ConnectDatagrams(c *Conn, to *Addr) int

	// RecvDatagrams takes what has come to c's socket, in order, and returns how many entries of out it has filled,
	// each with a reference to its buffer. It need not be repeated: when more may be waiting, the next Poll reports
	// EvReadable at once, so that one call a turn is a connection's share. A negative errno took nothing. It is what
	// the network said of an earlier datagram (ICMP; -ECONNREFUSED on a connected socket), which ends nothing; or
	// -ENOBUFS: the arena is empty, and EvReadable comes again when it is not.
	RecvDatagrams(c *Conn, out []Datagram) int

	// SendDatagrams sends in's datagrams in order and returns how many entries the socket has taken. Their bytes are
	// the caller's again when it returns. A negative errno took nothing and is about the first entry: -EAGAIN when the
	// socket is full, and nothing will tell when it no longer is; -EMSGSIZE when it is too long; or it is about an
	// earlier one, as with RecvDatagrams, and sending again may do.
	SendDatagrams(c *Conn, in []Datagram) int

	// Close ends c: see rule 6. The peer reads end of stream after the bytes it was sent, or, with reset, a reset.
	// A send in flight may be cut. One EvClosed follows in any case, for a c without a socket too.
	Close(c *Conn, reset bool)

	// Poll starts what was queued, waits until something happened, Wake was called or timeout nanoseconds have passed
	// (negative: for ever; 0: not at all), and fills out. It returns the number of events, which may be 0 at any time:
	// what happened may have concerned the backend alone. An error means that the backend is unusable.
	Poll(timeout int64, out []Event) (int, error)

	// Expect says how many connections are in the middle of something. A backend that can may then gather several
	// completions in one wait, at the price of some microseconds of latency. It is a hint, in force until the next.
	Expect(busy int)

	// Wake makes the current or the next Poll return. Any goroutine may call it, at any time between Open's and
	// Shutdown's return.
	Wake()

	// Peer is the remote address of an accepted socket; the zero value for a unix socket. ev must be an EvAccept of the
	// last Poll.
	Peer(ev *Event) netip.AddrPort

	// Unacked is the number of bytes that c's socket has taken from us and its peer has not acknowledged; 0 when that
	// cannot be told. It may cost a system call.
	Unacked(c *Conn) int

	// AckNow acknowledges what c's socket has received, when we have nothing to say: TCP would wait some 40 ms for
	// something to send it along with, and a peer that gathers small pieces (RFC 896) sends no more before. It costs a
	// system call.
	AckNow(c *Conn)

	// Local is the address of c's own end, which its peer has connected to; the zero value for a unix socket. It costs
	// a system call.
	Local(c *Conn) netip.AddrPort

	// Gone reports whether c's connection is broken. It is for one whose peer has ended its stream: what happens
	// then to the other direction shows only when something is sent. Where both directions have ended in order, the
	// answer means nothing. It costs a system call.
	Gone(c *Conn) bool

	// Shutdown releases everything: sockets still attached are closed without ceremony. No method may be called
	// afterwards.
	Shutdown()
}

// Env is what a backend works on. All of it belongs to the shard and outlives the backend.
type Env struct {
	Conns *Table
	Mem   *mem.Arena
	Stats *Stats
}

// Info describes an open backend.
type Info struct {
	Name string // "uring", "epoll", "sim"
	Tier string // "T1" to "T3" for uring, "T0" for epoll
	// Features are the optional kernel features in use, for the banner and doctor.
	Features []string
}

// Stats are counted by the backend, one writer; read by others with atomic loads of slightly stale values.
type Stats struct {
	Syscalls uint64 // every system call made on the shard's thread by the backend
	Polls    uint64 // calls of Poll
	Events   uint64 // events reported
	NoBufs   uint64 // receives that found no buffer
	Accepts  uint64 // sockets accepted
	Stale    uint64 // completions settled for a connection that was already closing
}

// Load reads the counters while their shard works. Any goroutine may call it.
func (s *Stats) Load() Stats {
	return Stats{
		Syscalls: atomic.LoadUint64(&s.Syscalls), Polls: atomic.LoadUint64(&s.Polls),
		Events: atomic.LoadUint64(&s.Events), NoBufs: atomic.LoadUint64(&s.NoBufs),
		Accepts: atomic.LoadUint64(&s.Accepts), Stale: atomic.LoadUint64(&s.Stale),
	}
}

// RecvMode is how to receive.
type RecvMode uint8

const (
	RecvStream RecvMode = iota // into Small buffers, until ended
	RecvSmall                  // once, into a Small buffer
	RecvBulk                   // once, into a Bulk buffer
	RecvPiped                  // once, into a Pipe buffer: for RecvPipe only
)

// Class is the buffer class that a mode receives into.
func (m RecvMode) Class() mem.Class {
	return [...]mem.Class{RecvStream: mem.Small, RecvSmall: mem.Small, RecvBulk: mem.Bulk, RecvPiped: mem.Pipe}[m]
}

// SendSpansMax is the number of spans that one Send takes.
const SendSpansMax = 8

// Kind says what an event reports.
type Kind uint8

const (
	EvNone      Kind = iota
	EvAccept         // Res: the new socket, or a negative errno (-EMFILE: see Unlisten). No connection yet
	EvConnected      // Res: 0 or a negative errno
	EvRecv           // Res, and with Res > 0 Off and Buf
	EvSent           // Res
	EvClosed         // the slot may be released
	EvReadable       // RecvDatagrams has something to return
)

func (k Kind) String() string {
	return [...]string{"none", "accept", "connected", "recv", "sent", "closed", "readable"}[k]
}

// Flags of an event.
type Flags uint8

const (
	FlagMore     Flags = 1 << iota // EvRecv: the receive is still armed
	FlagNonEmpty                   // EvRecv: the socket had more data waiting when this was taken; a hint
)

// Event reports one thing that happened.
type Event struct {
	Kind     Kind
	Flags    Flags
	Listener uint16
	Slot     uint32
	Gen      uint32
	Res      int32
	Off      uint32  // EvRecv: where the data starts in the arena. EvAccept: private to the backend
	Buf      mem.Buf // EvRecv with data: the buffer to drop
}

// Data is the span of an EvRecv with data.
func (e *Event) Data() mem.Span { return mem.Span{Off: e.Off, Len: uint32(e.Res)} }

// Addr is a socket address in the kernel's form (struct sockaddr_in, _in6 or _un).
type Addr struct {
	Len uint32
	Raw [110]byte
}

// Token packs an event's origin into the 64 bits that a kernel carries for us: slot, generation and a
// backend's own kind. It is never a pointer.
type Token uint64

// MakeToken packs; gen must be at most GenMask, slot below 1<<24.
func MakeToken(slot, gen uint32, kind uint8) Token {
	return Token(slot) | Token(gen)<<24 | Token(kind)<<56
}

func (t Token) Slot() uint32 { return uint32(t) & (1<<24 - 1) }
func (t Token) Gen() uint32  { return uint32(t>>24) & GenMask }
func (t Token) Kind() uint8  { return uint8(t >> 56) }
