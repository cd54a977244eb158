package record

import (
	"errors"
	"fmt"
)

// Keys are the two directions of a connection between its handshake and its record layer. They are made by the
// handshake and used up by Layer.Start.
type Keys struct {
	read, write Half
	client      bool
}

// NewKeys13 makes the keys of a TLS 1.3 connection on which Handshake has returned without an error. The secrets are
// the first application traffic secrets, of the client and of the server, and stay the caller's to overwrite.
// written is everything that crypto/tls wrote, from its first byte to its last, and is only read: the tickets in it
// were sealed under our key, and sealing goes on behind them.
func NewKeys13(suite uint16, client bool, clientSecret, serverSecret, written []byte) (*Keys, error) {
	f, err := family13(suite)
	if err != nil {
		return nil, err
	}
	if len(clientSecret) != f.hashLen() || len(serverSecret) != f.hashLen() {
		return nil, fmt.Errorf("derive TLS 1.3 keys: secrets of %d and %d bytes: cipher suite %#04x has %d",
			len(clientSecret), len(serverSecret), suite, f.hashLen())
	}
	half := Half{form: form13, family: f}
	k := &Keys{read: half, write: half, client: client}
	fromClient, fromServer := k.sides()
	if err := fromClient.install(clientSecret); err != nil {
		return nil, fmt.Errorf("derive TLS 1.3 keys: %w", err)
	}
	if err := fromServer.install(serverSecret); err != nil {
		return nil, fmt.Errorf("derive TLS 1.3 keys: %w", err)
	}
	if _, err := k.write.resume(written); err != nil {
		return nil, err
	}
	return k, nil
}

// NewKeys12 makes the keys of a TLS 1.2 connection on which Handshake has returned without an error, from its master
// secret and the two randoms (RFC 5246, section 6.3). The peer's Finished must have been the last message that
// crypto/tls read. For written see NewKeys13.
func NewKeys12(suite uint16, client bool, master, clientRandom, serverRandom, written []byte) (*Keys, error) {
	f, err := family12(suite)
	if err != nil {
		return nil, err
	}
	if len(master) != 48 || len(clientRandom) != 32 || len(serverRandom) != 32 {
		return nil, fmt.Errorf("derive TLS 1.2 keys: master secret of %d bytes and randoms of %d and %d: they have "+
			"48, 32 and 32", len(master), len(clientRandom), len(serverRandom))
	}
	k, err := expand12(f, client, master, append(append([]byte(nil), serverRandom...), clientRandom...))
	if err != nil {
		return nil, fmt.Errorf("derive TLS 1.2 keys: %w", err)
	}
	k.read.seq = 1 // the peer's Finished was record 0
	n, err := k.write.resume(written)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("find write sequence number: no written record is the Finished message of these keys")
	}
	return k, nil
}

// expand12 cuts the key block into keys and IVs; an AEAD has no MAC keys. seed is the server's random and the client's.
func expand12(f family, client bool, master, seed []byte) (*Keys, error) {
	half, iv := Half{form: form12GCM, family: f}, 4
	if f == chacha {
		half.form, iv = form12XOR, ivLen
	}
	k := &Keys{read: half, write: half, client: client}
	key := f.keyLen()
	block := make([]byte, 2*key+2*iv)
	prf(f.hash(), block, master, "key expansion", seed)
	ivs := block[2*key:]
	fromClient, fromServer := k.sides()
	err := fromClient.rekey(block[:key], ivs[:iv])
	if err == nil {
		err = fromServer.rekey(block[key:2*key], ivs[iv:])
	}
	clear(block)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// sides are the halves by who writes with them.
func (k *Keys) sides() (fromClient, fromServer *Half) {
	if k.client {
		return &k.write, &k.read
	}
	return &k.read, &k.write
}
