package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxUnixPath is what struct sockaddr_un holds, with the zero at the end.
const maxUnixPath = 107

// parseListen reads a listener's address. ":8080" stands for all addresses of both families. On failure both results
// are zero, and hint may say more.
func parseListen(s string) (addr netip.AddrPort, unix, hint string) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		unix, hint = parseUnix(path)
		return addr, unix, hint
	}
	text := s
	if strings.HasPrefix(s, ":") {
		text = "[::]" + s
	}
	addr, err := netip.ParseAddrPort(text)
	switch {
	case err == nil && addr.Port() == 0:
		return netip.AddrPort{}, "", "the port is between 1 and 65535"
	case err == nil && addr.Addr().Zone() != "":
		return netip.AddrPort{}, "", "an address with a zone is not supported"
	case err == nil:
		return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), "", ""
	}
	return netip.AddrPort{}, "", listenHint(s)
}

func listenHint(s string) string {
	if port, err := strconv.ParseUint(s, 10, 16); err == nil && port > 0 {
		return fmt.Sprintf("write %q", ":"+s)
	}
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return fmt.Sprintf("write %q", netip.AddrPortFrom(ip, 8080))
	}
	if rest, ok := strings.CutPrefix(s, "http://"); ok {
		return fmt.Sprintf("write %q", strings.TrimRight(rest, "/"))
	}
	if strings.HasPrefix(s, "/") {
		return fmt.Sprintf("write %q", "unix:"+s)
	}
	if port, ok := strings.CutPrefix(s, "*:"); ok {
		return fmt.Sprintf("write %q", ":"+port)
	}
	if port, ok := strings.CutPrefix(s, "localhost:"); ok {
		return fmt.Sprintf("write %q", "127.0.0.1:"+port)
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		if port, err := strconv.ParseUint(s[i+1:], 10, 64); err == nil && (port == 0 || port > 65535) {
			return "the port is between 1 and 65535"
		}
		return "a listener needs an IP address, not a name"
	}
	return ""
}

// parseUnix checks a socket's path, or its name in the abstract namespace, which begins with "@". A relative path would
// mean another file after a change of directory.
func parseUnix(path string) (unix, hint string) {
	switch {
	case !strings.HasPrefix(path, "/") && (!strings.HasPrefix(path, "@") || path == "@"):
		return "", "the path of a unix socket begins with a slash"
	case strings.HasSuffix(path, "/"):
		return "", "the path of a unix socket names a file"
	case len(path) > maxUnixPath:
		return "", fmt.Sprintf("the path of a unix socket has at most %d bytes, this has %d", maxUnixPath, len(path))
	case strings.IndexByte(path, 0) >= 0:
		return "", "the path of a unix socket has no zero byte"
	}
	return path, ""
}

// parseNetwork reads "10.0.0.0/8" or a single address.
func parseNetwork(s string) (p netip.Prefix, hint string) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), ""
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, ""
	case p.Addr().Is4In6():
		return netip.Prefix{}, "write an IPv4 network in its own form"
	case p != p.Masked():
		return netip.Prefix{}, fmt.Sprintf("bits beyond the network are set; write %q", p.Masked())
	}
	return p, ""
}

// parseEndpoint reads an endpoint's URL. The port of http is 80 and that of https 443 unless said otherwise. A unix
// socket has no scheme. On failure hint says why.
func parseEndpoint(s string) (e Endpoint, scheme, hint string) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		e.Unix, hint = parseUnix(path)
		return e, "", hint
	}
	u, err := url.Parse(s)
	if hint = badURL(s, u, err); hint != "" {
		return e, "", hint
	}
	e, hint = hostPort(u)
	e.TLS = u.Scheme == "https" || u.Scheme == "tls"
	return e, u.Scheme, hint
}

// badURL says what keeps s, which reads as u, from being an endpoint's URL.
func badURL(s string, u *url.URL, err error) (hint string) {
	switch {
	case s == "":
		return "the URL is empty"
	case err != nil && !strings.Contains(s, "://"), err == nil && u.Host == "" && !strings.Contains(s, "://"):
		return fmt.Sprintf("write %q", "http://"+s)
	case err != nil:
		return "this is no URL"
	case (u.Scheme == "tcp" || u.Scheme == "tls" || u.Scheme == "udp") && u.Port() == "":
		return u.Scheme + " has no port of its own; write one"
	case !slices.Contains([]string{"http", "https", "tcp", "tls", "udp"}, u.Scheme):
		return schemeHint(u)
	case u.User != nil:
		return "an endpoint has no user name or password"
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "an endpoint has no path or query; requests keep their own"
	}
	return ""
}

// schemeHint is what somebody probably meant by a scheme that there is not.
func schemeHint(u *url.URL) string {
	meant := map[string]string{
		"ws": "http", "wss": "https", "ssl": "tls", "tcps": "tls", "tcp4": "tcp", "tcp6": "tcp", "udp4": "udp",
		"udp6": "udp", "dns": "udp", "postgres": "tcp", "postgresql": "tcp", "mysql": "tcp", "redis": "tcp",
		"rediss": "tls", "mongodb": "tcp", "amqp": "tcp", "amqps": "tls", "mqtt": "tcp", "mqtts": "tls",
	}[u.Scheme]
	switch {
	case meant == "":
		return fmt.Sprintf("the scheme %q is not supported by this version", u.Scheme)
	case u.Scheme == "ws" || u.Scheme == "wss":
		return fmt.Sprintf("write %q; WebSockets begin as requests", meant+"://"+u.Host)
	case u.Port() == "" || u.User != nil:
		return fmt.Sprintf("write %q", meant+"://HOST:PORT")
	}
	return fmt.Sprintf("write %q", meant+"://"+u.Host)
}

func hostPort(u *url.URL) (e Endpoint, hint string) {
	e.Host, e.Port = u.Hostname(), 80
	if u.Scheme == "https" {
		e.Port = 443
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return e, "the port is between 1 and 65535"
		}
		e.Port = uint16(n)
	}
	if ip, err := netip.ParseAddr(e.Host); err == nil {
		switch {
		case ip.Zone() != "":
			return e, "an address with a zone is not supported"
		case ip.IsUnspecified():
			return e, fmt.Sprintf("%s is no address to connect to", e.Host)
		}
		e.Host = ip.Unmap().String()
		return e, ""
	}
	e.Host = strings.ToLower(strings.TrimSuffix(e.Host, "."))
	if !hostName(e.Host) {
		return e, "the host is neither an address nor a name"
	}
	return e, ""
}

// hostName tells whether s can be resolved: letters, digits, hyphens and underscores between dots.
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	numeric := true
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || !bare(label) {
			return false
		}
		numeric = strings.Trim(label, "0123456789") == ""
	}
	return !numeric // an IPv4 address with a slip in it, most likely
}
