package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/uringproxy/uringproxy/tls/certs"
)

// ClientOptions say how we shake hands with a server.
type ClientOptions struct {
	ServerName  string             // what its certificate must be for, and what it is asked for
	Roots       *x509.CertPool     // who may have signed that; nil: the system's
	SkipVerify  bool               // take any certificate
	Certificate *certs.Certificate // shown when the server asks for one; nil: none
	MinVersion  uint16             // as in Policy, and so are the next three
	MaxVersion  uint16
	Suites      []uint16
	Curves      []tls.CurveID
	ALPN        []string // protocols offered; none: not negotiated
}

// Client is how we shake hands with a server. It is immutable.
type Client struct{ config *tls.Config }

// NewClient makes a client.
func NewClient(options ClientOptions) (*Client, error) {
	if options.ServerName == "" && !options.SkipVerify {
		return nil, errors.New("make TLS client: there is no server name to verify the certificate for")
	}
	config := &tls.Config{
		ServerName: options.ServerName, RootCAs: options.Roots, InsecureSkipVerify: options.SkipVerify,
		NextProtos: options.ALPN,
	}
	if err := common(config, options.MinVersion, options.MaxVersion, options.Suites, options.Curves); err != nil {
		return nil, fmt.Errorf("make TLS client: %w", err)
	}
	if c := options.Certificate; c != nil {
		shown, err := c.Parsed()
		if err != nil {
			return nil, fmt.Errorf("make TLS client: %w", err)
		}
		config.Certificates = []tls.Certificate{*shown}
	}
	return &Client{config: config}, nil
}
