package proxy

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/proxyproto"
)

// proxied reports whether l's connection has to begin with a header of the PROXY protocol.
func (w *Worker) proxied(l *link) bool {
	networks := w.listenerOf(l).Proxied
	return len(networks) > 0 && contains(networks, clientAddr(l).Addr())
}

// trusts reports whether a client's forwarding headers are believed. Whoever may open a unix socket is one of us.
func (w *Worker) trusts(l *link) bool {
	if l.addr == ([16]byte{}) {
		return !l.named
	}
	return contains(w.listenerOf(l).Trusted, clientAddr(l).Addr())
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// readHeader reads the header of the PROXY protocol as far as it has come. From then on the client is whom it names,
// also to what counts and limits. It reports whether to go on with what is behind the header.
func (w *Worker) readHeader(l *link, c *engine.Conn) bool {
	b, ok := w.front(l)
	if !ok {
		w.refuseFirst(l, c, metrics.LimitBuffers)
		return false
	}
	h, n, code := proxyproto.Parse(b)
	switch code {
	case proxyproto.OK:
	case proxyproto.NeedMore:
		return false
	case proxyproto.NotProxy:
		w.headerCut(l, c, metrics.ProxyMissing, metrics.NoProxyHeader, "")
		return false
	default:
		w.headerCut(l, c, metrics.ProxyMalformed, metrics.BadProxyHeader, code.String())
		return false
	}
	w.consume(&l.in, uint32(n))
	w.firstKnown(l)
	if h.Source.Addr().IsValid() {
		l.name(&h)
		w.m.ProxyReceived(h.Version, metrics.ProxyTaken)
	} else { // the connection's own addresses are the ones
		w.m.ProxyReceived(h.Version, metrics.ProxyLocal)
	}
	if w.draining && l.in.empty() {
		w.m.Inc(metrics.ConnsClosedDrain)
		w.closeClient(l, c, false)
		return false
	}
	w.admit(l, c)
	return true
}

// name notes who the client is by a header.
func (l *link) name(h *proxyproto.Header) {
	l.named = true
	l.setClient(h.Source)
	l.to, l.toPort = h.Destination.Addr().As16(), h.Destination.Port()
}

// setClient notes the client's address.
func (l *link) setClient(at netip.AddrPort) {
	ip := at.Addr().Unmap()
	l.addr, l.port, l.ip6 = ip.As16(), at.Port(), ip.Is6()
}

// headerCut ends a client's connection that did not begin with a header of the PROXY protocol. Detail is more about
// why.
func (w *Worker) headerCut(l *link, c *engine.Conn, what metrics.ProxyHeader, why metrics.Reason, detail string) {
	version := uint8(0)
	if !l.in.empty() {
		h, _, _ := proxyproto.Parse(w.mem.Bytes(w.chunks.At(l.in.head).span))
		version = h.Version
	}
	w.m.ProxyReceived(version, what)
	w.rejectFirst(l, c, why, detail)
}

// destinationPort is the port that l's client has connected to; 0 for a client of a unix socket.
func (w *Worker) destinationPort(l *link) uint16 {
	if l.named {
		return l.toPort
	}
	return w.listenerOf(l).Addr.Port()
}
