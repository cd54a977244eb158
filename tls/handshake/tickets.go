package handshake

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ticketKeyLen is the length of a key for tickets.
const ticketKeyLen = 32

// Tickets are the keys of session tickets, by which clients resume sessions: on every instance that has the same ones.
// The first encrypts, all decrypt. They are immutable.
type Tickets struct{ roots [][ticketKeyLen]byte }

// RandomTickets makes keys that nobody else has.
func RandomTickets() *Tickets {
	var root [ticketKeyLen]byte
	rand.Read(root[:]) // does not fail
	return &Tickets{roots: [][ticketKeyLen]byte{root}}
}

// Rotate is t with a new key before the others, of which the oldest are forgotten.
func (t *Tickets) Rotate() *Tickets {
	const kept = 2
	rotated := RandomTickets()
	rotated.roots = append(rotated.roots, t.roots[:min(len(t.roots), kept)]...)
	return rotated
}

// TicketsFromKeys reads keys from the text of a file: one a line, of 32 bytes each, in hex or base64. Empty lines and
// lines that begin with # are skipped. Errors name the line and never the key.
func TicketsFromKeys(text []byte) (*Tickets, error) {
	t := new(Tickets)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, ok := decodeKey(string(line))
		if !ok {
			return nil, fmt.Errorf("ticket keys: line %d is not a key of 32 bytes in hex (64 digits) or base64 (44 "+
				"characters): make one with 'openssl rand -hex 32'", number)
		}
		t.roots = append(t.roots, key)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("ticket keys: %w", err)
	}
	if len(t.roots) == 0 {
		return nil, errors.New("ticket keys: there is none: make one with 'openssl rand -hex 32'")
	}
	return t, nil
}

func decodeKey(text string) (key [ticketKeyLen]byte, ok bool) {
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString,
	} {
		if b, err := decode(text); err == nil && len(b) == ticketKeyLen {
			return [ticketKeyLen]byte(b), true
		}
	}
	return key, false
}

// TicketsFromSecret derives the keys of now from a secret that instances share, without a word between them: a new one
// every rotate, by the clock. Those before and after are accepted too, so that clocks need not agree. until is when
// they are to be derived again.
func TicketsFromSecret(secret []byte, now time.Time, rotate time.Duration) (t *Tickets, until time.Time, err error) {
	if len(secret) < 16 {
		return nil, until, fmt.Errorf("ticket secret of %d bytes: it needs 16 at least, and 32 are good", len(secret))
	}
	if rotate < time.Minute {
		return nil, until, fmt.Errorf("ticket rotation every %v: every minute is the most", rotate)
	}
	epoch := now.UnixNano() / int64(rotate)
	t = new(Tickets)
	for _, e := range []int64{epoch, epoch - 1, epoch + 1} {
		root, err := expand(secret, "uringproxy ticket epoch "+strconv.FormatInt(e, 10)+" of "+rotate.String())
		if err != nil {
			return nil, until, err
		}
		t.roots = append(t.roots, root)
	}
	return t, time.Unix(0, (epoch+1)*int64(rotate)), nil
}

// keys are the keys for a class of policies. A ticket of one class is no ticket in another, so that a session begun
// under a policy without client certificates is not resumed under one that demands them.
func (t *Tickets) keys(class string) ([][ticketKeyLen]byte, error) {
	keys := make([][ticketKeyLen]byte, 0, len(t.roots))
	for i := range t.roots {
		key, err := expand(t.roots[i][:], "uringproxy ticket class "+class)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func expand(secret []byte, info string) (key [ticketKeyLen]byte, err error) {
	b, err := hkdf.Key(sha256.New, secret, nil, info, ticketKeyLen)
	if err != nil {
		return key, fmt.Errorf("derive ticket key: %w", err)
	}
	copy(key[:], b)
	clear(b)
	return key, nil
}
