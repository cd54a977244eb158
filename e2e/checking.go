package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checked is the prefix of the header fields that go into a request's sum.
const checked = "X-Test-"

// Sum identifies a request by its method, target, the header fields whose names begin with X-Test-, and its body. Two
// requests with different sums cannot have their answers mixed up unnoticed.
func Sum(method, target string, header http.Header, body io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return "", err
	}
	fmt.Fprintf(h, "\n%s %s\n", method, target)
	var names []string
	for name := range header {
		if strings.HasPrefix(name, checked) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(h, "%s: %q\n", name, header[name])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// SumText is Sum for a body that is at hand, and without checked header fields.
func SumText(method, target, body string) string {
	sum, _ := Sum(method, target, nil, strings.NewReader(body)) // a string can always be read
	return sum
}

// Checking is an upstream that answers each request with its Sum, in the field X-Sum and as the body: the sum and a
// line feed, repeated. Query parameters shape the answer:
//
//	n=BYTES       length of the body; the default is one sum and its line feed
//	chunked=1     without Content-Length
//	status=CODE   and location=URL
//
// What it got from the proxy (Via and the like) comes back in X-Got- fields.
type Checking struct {
	*httptest.Server
}

// NewChecking starts a checking upstream; it stops with the test.
func NewChecking(t testing.TB) *Checking {
	s := &Checking{httptest.NewUnstartedServer(http.HandlerFunc(check))}
	s.Config.DisableGeneralOptionsHandler = true // "OPTIONS *" is a request like others
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func check(w http.ResponseWriter, r *http.Request) {
	sum, err := Sum(r.Method, r.RequestURI, r.Header, r.Body)
	if err != nil {
		return // the client gave up within its body
	}
	out := w.Header()
	out.Set("X-Sum", sum)
	out.Set("X-Got-Host", r.Host)
	for name, values := range r.Header {
		out["X-Got-"+name] = values
	}
	q := r.URL.Query()
	n, status := int64(len(sum)+1), http.StatusOK
	if v, err := strconv.ParseInt(q.Get("n"), 10, 64); err == nil {
		n = v
	}
	if v, err := strconv.Atoi(q.Get("status")); err == nil {
		status = v
	}
	if v := q.Get("location"); v != "" {
		out.Set("Location", v)
	}
	if q.Get("chunked") == "" {
		out.Set("Content-Length", strconv.FormatInt(n, 10))
	}
	w.WriteHeader(status)
	if q.Get("chunked") != "" {
		_ = http.NewResponseController(w).Flush() // fails when the client has gone
	}
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, Body(sum, n))
	}
}

// Body is the body of n bytes that Checking answers with to the request of that sum.
func Body(sum string, n int64) io.Reader {
	return io.LimitReader(&repeat{block: bytes.Repeat([]byte(sum+"\n"), 512)}, n)
}

// repeat reads as its block over and over.
type repeat struct {
	block []byte
	at    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

// CheckBody reads body to its end and checks that it is what Checking sends for a request of that sum.
func CheckBody(body io.Reader, sum string, n int64) error {
	want := Body(sum, n)
	got, expect := make([]byte, 64<<10), make([]byte, 64<<10)
	var at int64
	for {
		k, err := io.ReadFull(body, got)
		m, _ := io.ReadFull(want, expect)
		if !bytes.Equal(got[:k], expect[:min(k, m)]) {
			return fmt.Errorf("the body differs from what was due, after byte %d", at)
		}
		at += int64(k)
		switch {
		case err == nil:
		case err != io.EOF && err != io.ErrUnexpectedEOF:
			return fmt.Errorf("the body broke off after %d of %d bytes: %w", at, n, err)
		case at != n:
			return fmt.Errorf("the body ended after %d of %d bytes", at, n)
		default:
			return nil
		}
	}
}
