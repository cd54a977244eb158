package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// Call is a request to a Checking upstream, and what is to come back.
type Call struct {
	Method, Target string
	Header         http.Header
	Body           int64 // bytes sent
	Chunked        bool  // sent without Content-Length
	Want           int64 // bytes that come back; HEAD brings none whatever it says
}

// Do makes the call at base, such as "http://127.0.0.1:8080", and checks that the answer belongs to it.
func (c Call) Do(client *http.Client, base string) error {
	const seed = "request" // the same for all: method, target and header fields tell them apart
	sum, err := Sum(c.Method, c.Target, c.Header, Body(seed, c.Body))
	if err != nil {
		return err
	}
	req, err := http.NewRequest(c.Method, base+c.Target, nil)
	if err != nil {
		return err
	}
	if c.Header != nil {
		req.Header = c.Header.Clone()
	}
	if c.Body > 0 {
		req.Body, req.ContentLength = io.NopCloser(Body(seed, c.Body)), c.Body
		if c.Chunked {
			req.ContentLength = -1
		}
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.Method, c.Target, err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("X-Sum"); res.StatusCode != http.StatusOK || got != sum {
		return fmt.Errorf("%s %s: status %d, sum %q, want %q", c.Method, c.Target, res.StatusCode, got, sum)
	}
	want := c.Want
	if c.Method == http.MethodHead {
		want = 0
	}
	if err := CheckBody(res.Body, sum, want); err != nil {
		return fmt.Errorf("%s %s: %w", c.Method, c.Target, err)
	}
	return nil
}

// Client is Go's HTTP client with connections of its own, which end with the test.
func Client(t testing.TB) *http.Client {
	dialer := &net.Dialer{Timeout: hang}
	tr := &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: 1024, DisableCompression: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, Timeout: 4 * hang,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
