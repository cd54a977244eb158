package udp

import "golang.org/x/sys/unix"

// Socket is what is known of a UDP socket, in one word of the backend's. A socket that was just adopted knows nothing:
// its first edge tells.
type Socket uint32

const (
	bitReady     Socket = 1 << iota // receiving may yield something
	bitTold                         // EvReadable was reported, and nobody has received since
	bitFailed                       // an edge told of an error: a short batch does not prove the socket drained
	bitSix                          // the family is AF_INET6
	bitConnected                    // to one peer
	bitLarge                        // the last batch had more in one entry than a Small buffer holds
	bitWhole                        // the device does not divide what is sent to it

	errnoShift = 8  // eight bits: an errno that was met behind datagrams, to be returned by the next Receive
	lastShift  = 16 // eight bits: how many entries the last Receive returned
)

// Edge enters what epoll tells of the socket.
func (s *Socket) Edge(events uint32) {
	*s |= bitReady
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		*s |= bitFailed
	}
}

// Due reports whether an EvReadable is to be reported.
func (s Socket) Due() bool { return s&(bitReady|bitTold) == bitReady }

// Tell notes that it was.
func (s *Socket) Tell() { *s |= bitTold }

// drained notes that there is nothing left, unless an error is.
func (s *Socket) drained() {
	if *s&bitFailed == 0 {
		*s &^= bitReady
	}
}

// empty notes that the socket said so itself.
func (s *Socket) empty() { *s &^= bitReady | bitFailed }

// last is how many entries the last Receive returned.
func (s Socket) last() int { return int(s >> lastShift & 0xff) }

func (s *Socket) setLast(n int) { *s = *s&^(0xff<<lastShift) | Socket(n)<<lastShift }

// keep remembers an errno for the next Receive.
func (s *Socket) keep(e unix.Errno) { *s = *s&^(0xff<<errnoShift) | Socket(e&0xff)<<errnoShift }

// take returns the errno that was remembered, or 0.
func (s *Socket) take() unix.Errno {
	e := unix.Errno(*s >> errnoShift & 0xff)
	*s &^= 0xff << errnoShift
	return e
}
