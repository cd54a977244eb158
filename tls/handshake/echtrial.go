package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
)

// tape is a connection on which everything was said before.
type tape struct {
	nowhere
	heard bytes.Reader
	said  bytes.Buffer
}

func (t *tape) Read(p []byte) (int, error)  { return t.heard.Read(p) }
func (t *tape) Write(p []byte) (int, error) { return t.said.Write(p) }

var errHeard = errors.New("the hello was read")

// tryECH encrypts a hello with a configuration, and decrypts it with its key. crypto/tls looks at its keys only when
// a hello is encrypted, or pretends to be, as those of browsers do; one key that it cannot use would have it
// refuse them all.
func tryECH(key tls.EncryptedClientHelloKey) error {
	const name = "inner.invalid"
	list := append([]byte{byte(len(key.Config) >> 8), byte(len(key.Config))}, key.Config...)
	client, server := new(tape), new(tape)
	err := tls.Client(client, &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: list,
		CurvePreferences: []tls.CurveID{tls.CurveP256}, // small, and always allowed
	}).Handshake()
	if client.said.Len() == 0 {
		return fmt.Errorf("encrypt a hello: %w", err)
	}
	server.heard.Reset(client.said.Bytes())
	read := ""
	err = tls.Server(server, &tls.Config{
		MinVersion: tls.VersionTLS13, EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			read = hello.ServerName
			return nil, errHeard
		},
	}).Handshake()
	switch {
	case read == name:
		return nil
	case errors.Is(err, errHeard):
		return errors.New("decrypt a hello: it is not for this key")
	}
	return fmt.Errorf("decrypt a hello: %w", err)
}
