package certs

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	maxResponse  = 64 << 10         // bytes; responses have one or two thousand
	fetchTimeout = 15 * time.Second // for all of one fetch
	maxRedirects = 3
)

// ErrNoResponder is for a certificate that names no OCSP responder, as many do not any more.
var ErrNoResponder = errors.New("fetch OCSP response: the certificate names no responder")

var responders = &http.Client{
	Timeout: fetchTimeout,
	CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	},
}

// Fetch asks the certificate's responder for an OCSP response and verifies it, as CheckStaple does. Next is when to do
// so again: when half of the time is over that the response is still valid for. It takes at most 15 seconds. That the
// certificate names no responder is ErrNoResponder.
func Fetch(ctx context.Context, c *Certificate) (der []byte, next time.Time, err error) {
	leaf, issuer, err := c.pair()
	if err != nil {
		return nil, time.Time{}, err
	}
	url := ""
	for _, server := range leaf.OCSPServer {
		if strings.HasPrefix(server, "http://") || strings.HasPrefix(server, "https://") {
			url = server
			break
		}
	}
	if url == "" {
		return nil, time.Time{}, ErrNoResponder
	}
	question, err := ask(leaf, issuer)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("make OCSP request: %w", err)
	}
	if der, err = post(ctx, url, question); err != nil {
		return nil, time.Time{}, fmt.Errorf("fetch OCSP response: %w", err)
	}
	now := time.Now()
	until, err := c.CheckStaple(der, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	return der, now.Add(until.Sub(now) / 2), nil
}

// ask is the request. It names the issuer by a SHA-1 hash, which every responder knows (RFC 5019, section 2.1.1).
// Nothing is trusted because of it, so that a process which keeps to FIPS 140 may do it too.
func ask(leaf, issuer *x509.Certificate) (question []byte, err error) {
	fips140.WithoutEnforcement(func() { question, err = ocsp.CreateRequest(leaf, issuer, nil) })
	return question, err
}

// post sends a request by POST (RFC 6960, appendix A.1).
func post(ctx context.Context, url string, question []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	request.Header.Set("Accept", "application/ocsp-response")
	response, err := responders.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, response.Status)
	}
	der, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	if err != nil {
		return nil, err
	}
	if len(der) > maxResponse {
		return nil, fmt.Errorf("%s answers with more than %d KiB", url, maxResponse>>10)
	}
	return der, nil
}
