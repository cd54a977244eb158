package admin

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guarded refuses who has not shown the token, and what a web page may have made a browser send: requests under a name
// that was made to point to this machine (DNS rebinding), and those that pages from elsewhere ask for, even if they
// only read: what they cost, and how long they take, is of use to a page that cannot see the answer. Who has shown
// the token may use any name, since no page knows it.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionOf(r)
		defer c.rest()
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if s.token.wanted() {
			if e := s.find(r.URL.Path); e == nil || !e.open {
				if !s.token.check(w, r) {
					return
				}
				c.trust()
			}
		} else if !s.local && !isAddress(r.Host) {
			refuse(w, http.StatusForbidden, "asked by the name "+r.Host,
				"ask by address, or as localhost; other names could be made to point here")
			return
		}
		if isForeign(r) {
			refuse(w, http.StatusForbidden, "asked by a web page from elsewhere",
				"use curl or uringproxy, or type the address in")
			return
		}
		if err := receive(w, r); err != nil {
			refuse(w, http.StatusBadRequest, "read request: "+err.Error(),
				fmt.Sprintf("send its body at once, and %d bytes at most", maxBody))
			return
		}
		c.work()
		next.ServeHTTP(w, r)
	})
}

// receive waits for the rest of a request.
func receive(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// isForeign reports whether a browser says that a page from elsewhere made it ask: by Sec-Fetch-Site, which all have
// sent to loopback addresses for years and which is "none" when a user typed the address in; or else by Origin.
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	from, err := url.Parse(origin)
	return err != nil || from.Host != r.Host
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
