package enginetest

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/sim"
)

// Virtual is the harness of engine/sim. With faults that break connections only the cases that live with them are run.
func Virtual(seed uint64, faults sim.Faults) Harness {
	faults.Window, faults.ConnectTimeout = socketRoom, 20*pause
	return Harness{
		Faulty: faults.Reset+faults.Refuse+faults.NoFiles+faults.NoBufs+faults.EndEarly+faults.ShortRead+
			faults.Lose+faults.Duplicate+faults.Late+faults.Full > 0,
		New: func(testing.TB) (engine.Backend, World) {
			w := sim.NewWorld(seed, faults)
			return sim.New(w), &virtual{w: w, port: 1000}
		},
	}
}

// virtual is the World of engine/sim.
type virtual struct {
	w    *sim.World
	port uint16
}

func (v *virtual) fresh(f Family) engine.Addr {
	v.port++
	switch f {
	case TCP4:
		return engine.IPAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), v.port))
	case TCP6:
		return engine.IPAddr(netip.AddrPortFrom(netip.IPv6Loopback(), v.port))
	}
	at, _ := engine.UnixAddr(fmt.Sprint("/virtual/", v.port)) // short enough
	return at
}

func (v *virtual) Listen(f Family) (int, engine.Addr, error) {
	at := v.fresh(f)
	return v.w.Listen(at), at, nil
}

func (v *virtual) Dial(at engine.Addr) (Peer, error) {
	return virtualPeer{v.w.DialAddr(at)}, nil
}

func (v *virtual) Serve(f Family) (Acceptor, error) {
	at := v.fresh(f)
	v.w.Serve(at, nil)
	return &virtualAcceptor{v: v, at: at}, nil
}

func (v *virtual) Nobody(f Family) engine.Addr { return v.fresh(f) }

func (v *virtual) Unanswered() engine.Addr {
	at := v.fresh(TCP4)
	v.w.Silence(at)
	return at
}

func (v *virtual) BindUDP(at netip.Addr) (int, netip.AddrPort, error) {
	v.port++
	addr := netip.AddrPortFrom(at, v.port)
	return v.w.BindUDP(addr), addr, nil
}

func (v *virtual) Correspond(at netip.Addr) (Correspondent, error) {
	v.port++
	return virtualCorrespondent{v.w.Correspond(netip.AddrPortFrom(at, v.port))}, nil
}

// virtualCorrespondent is a sim.Correspondent that sends several datagrams one by one.
type virtualCorrespondent struct{ *sim.Correspondent }

func (c virtualCorrespondent) Send(to netip.AddrPort, data []byte, size int) {
	for size > 0 && len(data) > size {
		c.Correspondent.Send(to, data[:size])
		data = data[size:]
	}
	c.Correspondent.Send(to, data)
}

func (v *virtual) Close() {}

type virtualAcceptor struct {
	v  *virtual
	at engine.Addr
}

func (a *virtualAcceptor) Addr() engine.Addr { return a.at }

func (a *virtualAcceptor) Accept() Peer {
	if p := a.v.w.Accept(a.at); p != nil {
		return virtualPeer{p}
	}
	return nil
}

// virtualPeer is a sim.Peer whose "not now" is the suite's.
type virtualPeer struct{ *sim.Peer }

func (p virtualPeer) Write(b []byte) (int, error) { return translate(p.Peer.Write(b)) }
func (p virtualPeer) Read(b []byte) (int, error)  { return translate(p.Peer.Read(b)) }

func translate(n int, err error) (int, error) {
	if err == sim.ErrWait {
		err = ErrWait
	}
	return n, err
}
