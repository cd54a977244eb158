package handshake

import (
	"bytes"
	"encoding/hex"
	"errors"

	"github.com/uringproxy/uringproxy/internal/sched"
)

const (
	randomLen = 32
	masterLen = 48
	maxSecret = 48 // of SHA-384
)

// secret is one of a connection's secrets.
type secret struct {
	bytes [maxSecret]byte
	len   int
}

func (s *secret) value() []byte { return s.bytes[:s.len] }

func (s *secret) set(digits []byte) error {
	if len(digits) > 2*maxSecret {
		return errors.New("secret is longer than any hash")
	}
	n, err := hex.Decode(s.bytes[:], digits)
	s.len = n
	return err
}

// secrets are what crypto/tls tells of its keys: it is the KeyLogWriter of one handshake. Of TLS 1.3 those of the first
// application data, of TLS 1.2 the master secret and the client's random. The form is NSS's key log.
type secrets struct {
	client, server secret // TLS 1.3
	master, random secret // TLS 1.2
	ticket         secret // TLS 1.2: the master secret of the session that the client wants to resume
}

// Write takes one line: a label, the client's random, the secret.
func (s *secrets) Write(line []byte) (int, error) {
	label, values, _ := bytes.Cut(line, []byte{' '})
	random, value, _ := bytes.Cut(bytes.TrimSpace(values), []byte{' '})
	var err error
	switch string(label) {
	case "CLIENT_TRAFFIC_SECRET_0":
		sched.Yield() // behind the signature
		err = s.client.set(value)
	case "SERVER_TRAFFIC_SECRET_0":
		err = s.server.set(value)
	case "CLIENT_RANDOM":
		err = errors.Join(s.random.set(random), s.master.set(value))
	}
	return len(line), err
}

// session takes the master secret out of a session of TLS 1.2, in the form that tls.SessionState.Bytes has: version,
// role, cipher suite, time of creation, the secret behind its length. The key log has no line for a resumed session.
// That form is crypto/tls's own affair: SelfTest finds out when it has changed.
func (s *secrets) session(state []byte) {
	const at = 2 + 1 + 2 + 8
	s.ticket.len = 0
	if len(state) > at+masterLen && state[0] == 3 && state[1] == 3 && state[at] == masterLen {
		s.ticket.len = copy(s.ticket.bytes[:], state[at+1:at+1+masterLen])
	}
}

func (s *secrets) wipe() { *s = secrets{} }
