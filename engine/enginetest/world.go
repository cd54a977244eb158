package enginetest

import (
	"errors"
	"net/netip"

	"github.com/uringproxy/uringproxy/engine"
)

// Family is a kind of stream socket.
type Family uint8

const (
	TCP4 Family = iota
	TCP6
	Unix
)

func (f Family) String() string { return [...]string{"tcp4", "tcp6", "unix"}[f] }

// World is where a backend's sockets lead. It is used on the shard's thread, and nothing in it blocks.
type World interface {
	// Listen makes a listening socket for the backend: the descriptor to hand to engine.Backend.Listen and
	// the address to dial. ErrNoFamily when the machine does not have the family.
	Listen(f Family) (fd int, at engine.Addr, err error)
	// Dial connects a peer to an address that Listen returned.
	Dial(at engine.Addr) (Peer, error)
	// Serve makes a listening socket on the peers' side, for the backend to connect to.
	Serve(f Family) (Acceptor, error)
	// Nobody is an address of the family at which nobody listens.
	Nobody(f Family) engine.Addr
	// Unanswered is an address that neither accepts nor refuses.
	Unanswered() engine.Addr
	// BindUDP makes a UDP socket for the backend, on a port of its own at an address, which may be an unspecified one:
	// the descriptor to hand to engine.Backend.AttachDatagrams and the address. ErrNoFamily as with Listen.
	BindUDP(at netip.Addr) (fd int, addr netip.AddrPort, err error)
	// Correspond makes a UDP socket on the peers' side.
	Correspond(at netip.Addr) (Correspondent, error)
	// Close ends what the world still holds.
	Close()
}

// Acceptor is a listening socket on the peers' side.
type Acceptor interface {
	Addr() engine.Addr
	// Accept takes a connection from the queue; nil when there is none.
	Accept() Peer
}

// Peer is the other end of a connection of the backend's.
type Peer interface {
	// Write writes as much as the connection takes now. ErrWait when that is nothing.
	Write(p []byte) (int, error)
	// Read reads what is there. ErrWait when that is nothing, io.EOF at the end of the stream.
	Read(p []byte) (int, error)
	CloseWrite()
	Close()
	// Reset ends the connection with a reset; on a unix socket, which has none, it closes.
	Reset()
	// Addr is the peer's own address, as the backend sees it.
	Addr() netip.AddrPort
}

// socketRoom is how many bytes a case may write to a connection that nobody reads.
const socketRoom = 256 << 10

var (
	// ErrWait says that nothing can be read or written just now.
	ErrWait = errors.New("not now")
	// ErrNoFamily says that the machine lacks an address family.
	ErrNoFamily = errors.New("no such address family here")
)
