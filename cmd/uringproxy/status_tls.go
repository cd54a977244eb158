package main

import (
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/internal/words"
)

// shownCertificates is how many certificates a status for people has, and shownNames how many names of each.
const (
	shownCertificates = 10
	shownNames        = 3
)

// writeTLS writes a line for what was agreed on, and one for each of the certificates that expire first.
func writeTLS(line func(name, format string, args ...any), t *admin.TLS) {
	mode := ""
	if t.Mode != "shard" {
		mode = "; RELAYED, a goroutine for each connection: " + t.Why
	}
	line("tls", "%s, %d connected; %s, %d by ticket, %d failed, %d running%s", words.Count(t.Listeners, "listener"),
		t.Open, words.Count(int(t.Done), "handshake"), t.Resumed, t.Failed, t.Running, mode)
	if t.Done > 0 {
		line("", "handshakes %s", percentiles(&t.Handshake))
	}
	shown := t.Certificates[:min(len(t.Certificates), shownCertificates)]
	for i := range shown {
		c := &shown[i]
		line([]string{"certs", ""}[min(i, 1)], "%s: %s, %s", certificateNames(c), left(c), c.Source)
		for _, problem := range c.Problems {
			line("", "  %s", problem)
		}
	}
	if more := t.All - len(shown); more > 0 {
		line("", "and %s that expire later", words.Count(more, "certificate"))
	}
}

func certificateNames(c *admin.Certificate) string {
	if len(c.Names) == 0 {
		return "no name"
	}
	text := strings.Join(c.Names[:min(len(c.Names), shownNames)], " ")
	if more := len(c.Names) - shownNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// left is how long a certificate has.
func left(c *admin.Certificate) string {
	switch days := int(c.Days); {
	case c.Days < 0:
		return "EXPIRED"
	case days < 2:
		return fmt.Sprintf("%.0f hours left", c.Days*24)
	default:
		return fmt.Sprintf("%d days left", days)
	}
}
