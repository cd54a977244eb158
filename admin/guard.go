package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// guarded refuses who has not shown the token, and what a web page may have made a browser send: requests under a name
// that was made to point to this machine (DNS rebinding), and changes asked for by pages from elsewhere. Who has shown
// the token may use any name, since no page knows it.
func (s *Server) guarded(next http.Handler) http.Handler {
	var foreign http.CrossOriginProtection // by Sec-Fetch-Site, or else Origin
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if s.token.wanted() {
			if e := s.find(r.URL.Path); (e == nil || !e.open) && !s.token.check(w, r) {
				return
			}
		} else if !s.local && !isAddress(r.Host) {
			refuse(w, http.StatusForbidden, "asked by the name "+r.Host,
				"ask by address, or as localhost; other names could be made to point here")
			return
		}
		if err := foreign.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "asked by a web page from elsewhere", "use curl, or: uringproxy reload")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// isAddress reports whether a Host field has an IP address or localhost in it, which nobody can make point elsewhere.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// limit makes l accept only while fewer than n of its connections are open.
func limit(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, free: make(chan struct{}, n), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	free   chan struct{} // has an element for each connection
	closed chan struct{}
	once   sync.Once
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: c, free: l.free}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.free })
	return err
}
