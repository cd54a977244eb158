package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// Client asks a process.
type Client struct {
	addr  Address
	token string
	http  http.Client
}

// What a client reads at most: a hundred faults with excerpts are far below the one, and the figures of a thousand
// shards, each of which takes some forty kilobytes, below the other.
const (
	maxAnswer  = 8 << 20
	maxMetrics = 64 << 20
)

// NewClient makes a client of the process at addr, which shows token unless it is empty. It connects when it is used.
func NewClient(addr Address, token string) *Client {
	network, address := addr.split()
	dialer := net.Dialer{Timeout: headTimeout}
	return &Client{addr: addr, token: token, http: http.Client{
		Timeout: writeTimeout + readTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, &Unreachable{addr, plain(err)}
				}
				return c, nil
			},
		},
	}}
}

// Unreachable says that nobody answers at an address.
type Unreachable struct {
	Addr Address
	Err  error
}

func (u *Unreachable) Error() string { return fmt.Sprintf("connect to %s: %v", u.Addr, u.Err) }
func (u *Unreachable) Unwrap() error { return u.Err }

// plain takes from an error what the caller knows: the operation and the address.
func plain(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// Status asks for the status, as it is and read.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	return &s, c.ask(ctx, http.MethodGet, "/api/status", maxAnswer, &s)
}

// Metrics asks what has been counted and timed.
func (c *Client) Metrics(ctx context.Context) (*Metrics, error) {
	var m Metrics
	return &m, c.ask(ctx, http.MethodGet, "/api/metrics.json", maxMetrics, &m)
}

// Addr is where the process answers.
func (c *Client) Addr() Address { return c.addr }

// Reload has the process reload. A reload that failed is no error.
func (c *Client) Reload(ctx context.Context) (*Reloaded, error) {
	var r Reloaded
	return &r, c.ask(ctx, http.MethodPost, "/api/reload", maxAnswer, &r)
}

func (c *Client) ask(ctx context.Context, method, path string, most int64, answer any) error {
	host := "localhost"
	if network, address := c.addr.split(); network == "tcp" {
		host = address
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.addr, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	var nobody *Unreachable
	if errors.As(err, &nobody) {
		return nobody
	}
	var failed *url.Error
	switch {
	case errors.As(err, &failed) && failed.Timeout():
		return fmt.Errorf("ask %s: there is a connection, and no answer in time", c.addr)
	case errors.As(err, &failed):
		return fmt.Errorf("ask %s: %w", c.addr, failed.Err) // without the URL, which says the same again
	case err != nil:
		return fmt.Errorf("ask %s: %w", c.addr, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.addr, err)
	}
	if int64(len(body)) > most {
		return fmt.Errorf("ask %s: the answer has more than %d bytes", c.addr, most)
	}
	var refused Problem
	switch {
	case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusUnprocessableEntity:
		err = json.Unmarshal(body, answer)
	case json.Unmarshal(body, &refused) == nil && refused.Error != "":
		return fmt.Errorf("ask %s: %s; %s", c.addr, refused.Error, refused.Hint)
	default:
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	if err != nil {
		return fmt.Errorf("ask %s: what answers there is no uringproxy: %w", c.addr, err)
	}
	return nil
}
