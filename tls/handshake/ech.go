package handshake

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	pemConfigs = "ECHCONFIG"
	pemKey     = "PRIVATE KEY"
	echVersion = 0xfe0d // RFC 9849
)

// ParseECHKeys reads keys for encrypted hellos from the text of a file: pairs of a PEM block "PRIVATE KEY" (PKCS #8)
// and a block "ECHCONFIG" that has the key's configurations (RFC 9934). The configurations of the first pair are what
// clients are told that came with others, so keys are rotated by putting a new pair in front.
func ParseECHKeys(text []byte) ([]tls.EncryptedClientHelloKey, error) {
	var keys []tls.EncryptedClientHelloKey
	var private *ecdh.PrivateKey
	first := true
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		var err error
		switch {
		case block.Type == pemKey && private == nil:
			if private, err = parseECHKey(block.Bytes); err != nil {
				return nil, err
			}
		case block.Type == pemConfigs && private != nil:
			configs, err := parseECHConfigs(block.Bytes, private)
			if err != nil {
				return nil, err
			}
			for _, config := range configs {
				key := tls.EncryptedClientHelloKey{
					Config: config, PrivateKey: private.Bytes(), SendAsRetry: first,
				}
				if err := tryECH(key); err != nil {
					return nil, fmt.Errorf("ECH keys: ECHCONFIG cannot be used, make another: %w", err)
				}
				keys = append(keys, key)
			}
			private, first = nil, false
		default:
			return nil, fmt.Errorf("ECH keys: block %q is out of place: each PRIVATE KEY is followed by its ECHCONFIG",
				block.Type)
		}
	}
	if private != nil || len(keys) == 0 {
		return nil, errors.New("ECH keys: a PRIVATE KEY and the ECHCONFIG for it are needed, in PEM")
	}
	return keys, nil
}

func parseECHKey(der []byte) (*ecdh.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("ECH keys: parse PRIVATE KEY: %w", err)
	}
	switch key := key.(type) {
	case *ecdh.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		private, err := key.ECDH()
		if err != nil {
			return nil, fmt.Errorf("ECH keys: use PRIVATE KEY: %w", err)
		}
		return private, nil
	}
	return nil, fmt.Errorf("ECH keys: the private key is a %T: it must be of X25519, or of P-256, P-384 or P-521", key)
}

// parseECHConfigs cuts an ECHConfigList (RFC 9849, section 4) into the configurations of a version we know. They must
// be for the key.
func parseECHConfigs(list []byte, private *ecdh.PrivateKey) ([][]byte, error) {
	bad := errors.New("ECH keys: ECHCONFIG is no list of configurations, as RFC 9934 has it")
	if len(list) < 2 || int(binary.BigEndian.Uint16(list)) != len(list)-2 {
		return nil, bad
	}
	var configs [][]byte
	for list = list[2:]; len(list) > 0; {
		if len(list) < 4 || int(binary.BigEndian.Uint16(list[2:])) > len(list)-4 {
			return nil, bad
		}
		n := 4 + int(binary.BigEndian.Uint16(list[2:]))
		config := list[:n:n]
		list = list[n:]
		if binary.BigEndian.Uint16(config) != echVersion {
			continue
		}
		const keyAt = 4 + 1 + 2 + 2 // behind version, length, number, KEM, length of the key
		public := private.PublicKey().Bytes()
		if len(config) < keyAt+len(public) || string(config[keyAt:keyAt+len(public)]) != string(public) {
			return nil, errors.New("ECH keys: ECHCONFIG has another public key than the PRIVATE KEY before it")
		}
		configs = append(configs, config)
	}
	if len(configs) == 0 {
		return nil, fmt.Errorf("ECH keys: ECHCONFIG has no configuration of version %#04x", echVersion)
	}
	return configs, nil
}
