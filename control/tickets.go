package control

import (
	"bytes"
	"crypto/sha256"
	"os"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// ticketSource is where the keys of tickets come from.
type ticketSource struct {
	origin origin
	sum    [sha256.Size]byte // of the text, which is not kept
	rotate time.Duration
}

type origin uint8

const (
	madeUp     origin = iota // by this process, for itself; listeners that rotate alike share them
	listedKeys               // in a file, which somebody else sees to
	derived                  // from a secret that instances share
)

// ticketKeys are keys until a certain time; the zero time: for ever.
type ticketKeys struct {
	keys  *handshake.Tickets
	until time.Time
}

// ticketsOf are the keys of a listener's tickets; nil: it has none.
func (g *vaulting) ticketsOf(l *config.Listener) *ticketKeys {
	t := &l.TLS.Tickets
	if t.Off {
		return nil
	}
	source := ticketSource{rotate: t.Rotate}
	var text []byte
	var err error
	name := "secret"
	switch {
	case t.Keys != "":
		name, source.origin = "keys", listedKeys
		text, err = os.ReadFile(t.Keys)
	case t.SecretFile != "":
		source.origin = derived
		text, err = os.ReadFile(t.SecretFile)
	case t.SecretEnv != "":
		source.origin = derived
		text = []byte(os.Getenv(t.SecretEnv))
	}
	key := config.Path("listeners", l.Name, "tls", "tickets", name)
	if err != nil {
		g.fault(key, "a file that can be read", err)
		return nil
	}
	if source.origin != madeUp {
		source.sum = sha256.Sum256(text)
	}
	known := g.vault.tickets[source]
	if g.tickets[source] != nil { // another listener's are the same
		known = g.tickets[source]
	}
	if known != nil && (known.until.IsZero() || g.at.Before(known.until)) {
		g.tickets[source] = known
		return known
	}
	next, err := source.renew(known, bytes.TrimSpace(text), g.at)
	clear(text)
	if err != nil {
		g.fault(key, "keys for tickets", err)
		return nil
	}
	g.tickets[source] = next
	return next
}

// renew makes the keys for the time being from the text, or of the old ones, if there are any.
func (s ticketSource) renew(old *ticketKeys, text []byte, now time.Time) (next *ticketKeys, err error) {
	next = new(ticketKeys)
	switch {
	case s.origin == derived:
		next.keys, next.until, err = handshake.TicketsFromSecret(text, now, s.rotate)
	case s.origin == listedKeys:
		next.keys, err = handshake.TicketsFromKeys(text)
	case old != nil:
		next.keys, next.until = old.keys.Rotate(), now.Add(s.rotate)
	default:
		next.keys, next.until = handshake.RandomTickets(), now.Add(s.rotate)
	}
	return next, err
}
