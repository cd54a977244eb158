package proxy

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/proxyproto"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// announce writes the header of the PROXY protocol with which a tunnel's connection to an endpoint begins, if its
// service wants one. It is kept until a connection stands: every endpoint that is tried gets it anew. Of TLS that
// passes through, offer has what the client offers. It reports false when there was no memory.
func (w *Worker) announce(t *tunnel, offer *hello.Offer) bool {
	version := w.tunnelService(t).Proxy
	if version == 0 {
		return true
	}
	buf, ok := w.mem.Take(mem.Small)
	if !ok {
		return false
	}
	l, c := &w.links[t.client], w.conns.At(t.client)
	at := w.mem.Data(buf)
	b := w.mem.All()[at.Off:at.Off:at.End()]
	h := proxyproto.Header{Source: clientAddr(l), Destination: w.destination(l, c)}
	if version == plan.ProxyV1 {
		b = proxyproto.AppendV1(b, h.Source, h.Destination)
	} else {
		f := proxyproto.Facts{Authority: t.name[:t.nameLen]}
		if offer != nil && len(offer.ALPN) > 0 {
			f.ALPN = offer.ALPN[0] // what it would like best; which one is agreed on is not seen here
		}
		if l.has(flagSecure) {
			w.secure[t.client].facts.tell(&f, w.additions[:0])
		}
		b = proxyproto.AppendV2(b, &h, &f)
	}
	t.header = held{mem.Span{Off: at.Off, Len: uint32(len(b))}, buf}
	return true
}

// destination is what l's client has connected to, by its own PROXY header if there was one; the zero value for a
// client of a unix socket.
func (w *Worker) destination(l *link, c *engine.Conn) netip.AddrPort {
	switch {
	case l.named && l.ip6:
		return netip.AddrPortFrom(netip.AddrFrom16(l.to), l.toPort)
	case l.named:
		return netip.AddrPortFrom(netip.AddrFrom16(l.to).Unmap(), l.toPort)
	case l.addr == [16]byte{}:
		return netip.AddrPort{}
	}
	return w.be.Local(c)
}

// tell adds what is known of a client's TLS that ended here. What has to be copied goes to scratch.
func (f *facts) tell(to *proxyproto.Facts, scratch []byte) {
	scratch = append(append(scratch, f.alpn...), cipherName(f.suite)...)
	n := len(f.alpn)
	to.ALPN, to.Cipher = scratch[:n], scratch[n:]
	to.TLS, to.Version = true, versionTLS12
	if f.version == hello.VersionTLS13 {
		to.Version = versionTLS13
	}
	if f.cert != nil {
		to.Certificate, to.Verified, to.CommonName = true, true, f.cert.common
	}
}

var versionTLS12, versionTLS13 = []byte("TLSv1.2"), []byte("TLSv1.3")

// cipherName is a suite in OpenSSL's words, which differ from the registry's for those of TLS 1.2.
func cipherName(suite string) string {
	switch suite {
	case "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256":
		return "ECDHE-ECDSA-AES128-GCM-SHA256"
	case "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384":
		return "ECDHE-ECDSA-AES256-GCM-SHA384"
	case "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256":
		return "ECDHE-ECDSA-CHACHA20-POLY1305"
	case "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":
		return "ECDHE-RSA-AES128-GCM-SHA256"
	case "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384":
		return "ECDHE-RSA-AES256-GCM-SHA384"
	case "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256":
		return "ECDHE-RSA-CHACHA20-POLY1305"
	}
	return suite
}

// dropHeader gives the header back, if there is one.
func (w *Worker) dropHeader(t *tunnel) {
	if t.header.span.Len > 0 {
		w.mem.Drop(t.header.buf)
		t.header.span.Len = 0
	}
}

// introduction is t's header to be sent, with a reference of its own; noHead: there is none.
func (w *Worker) introduction(t *tunnel) held {
	if t.header.span.Len == 0 {
		return noHead
	}
	w.m.ProxySent(uint8(w.tunnelService(t).Proxy))
	w.mem.Hold(t.header.buf)
	return t.header
}

// introduce puts the header in front of what is sent to an endpoint in plain. It reports false when there was no queue
// entry left, and the tunnel has been ended.
func (w *Worker) introduce(t *tunnel, l *link) bool {
	if h := w.introduction(t); h.buf != noBuf && !w.push(&l.out, h.span, h.buf) {
		w.endTunnel(t, metrics.LimitBuffers)
		return false
	}
	return true
}
