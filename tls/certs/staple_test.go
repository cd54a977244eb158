package certs

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// responder is an authority, a certificate of its, and a server that answers about it.
type responder struct {
	ca, leaf *minted
	server   *httptest.Server
	answer   func(w http.ResponseWriter, r *http.Request)
}

func newResponder(t *testing.T) *responder {
	r := &responder{ca: authority(t, nil, "ca")}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.answer(w, q) }))
	t.Cleanup(r.server.Close)
	r.leaf = mint(t, r.ca, nil, []string{"a.example"}, func(c *x509.Certificate) {
		c.OCSPServer = []string{"ldap://ca.example/", r.server.URL}
	})
	r.answer = func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil || q.Method != "POST" || q.Header.Get("Content-Type") != "application/ocsp-request" ||
			question.SerialNumber.Cmp(r.leaf.SerialNumber) != 0 {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(r.good(t))
	}
	return r
}

// good is a response with which everything is right.
func (r *responder) good(t testing.TB) []byte { return r.sign(t, r.ca, func(*ocsp.Response) {}) }

// sign is a response that somebody signs, after an edit.
func (r *responder) sign(t testing.TB, by *minted, edit func(*ocsp.Response)) []byte {
	template := ocsp.Response{
		Status: ocsp.Good, SerialNumber: r.leaf.SerialNumber,
		ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(7 * day),
	}
	if by != r.ca {
		template.Certificate = by.Certificate
	}
	edit(&template)
	return must(ocsp.CreateResponse(r.ca.Certificate, by.Certificate, template, by.signer.(crypto.Signer)))(t)
}

func TestCheckStaple(t *testing.T) {
	r := newResponder(t)
	c := loaded(t, r.leaf, r.ca)
	signing := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }
	none := func(*ocsp.Response) {}
	good := r.good(t)
	for _, s := range []struct {
		name string
		der  []byte
		want string
	}{
		{"good", good, ""},
		{"delegated", r.sign(t, mint(t, r.ca, nil, nil, signing), none), ""},
		{"another certificate of the issuer", r.sign(t, mint(t, r.ca, nil, nil), none), "not for signing"},
		{"delegated until yesterday", r.sign(t, mint(t, r.ca, nil, nil, signing, lasting(-9*day, -day)), none),
			"not valid now"},
		{"another authority", r.sign(t, authority(t, nil, "other"), none), "bad OCSP signature"},
		{"revoked", r.sign(t, r.ca, func(o *ocsp.Response) {
			o.Status, o.RevokedAt = ocsp.Revoked, time.Now().Add(-day)
		}), "revoked on"},
		{"unknown", r.sign(t, r.ca, func(o *ocsp.Response) { o.Status = ocsp.Unknown }), "does not know"},
		{"old", r.sign(t, r.ca, func(o *ocsp.Response) { o.NextUpdate = time.Now().Add(-time.Minute) }), "valid until"},
		{"future", r.sign(t, r.ca, func(o *ocsp.Response) { o.ThisUpdate = time.Now().Add(time.Hour) }), "from"},
		{"a little fast", r.sign(t, r.ca, func(o *ocsp.Response) { o.ThisUpdate = time.Now().Add(time.Minute) }), ""},
		{"without end", r.sign(t, r.ca, func(o *ocsp.Response) { o.NextUpdate = time.Time{} }), "until when"},
		{"of another", r.sign(t, r.ca, func(o *ocsp.Response) { o.SerialNumber = big.NewInt(7) }), "no response"},
		{"changed", append(append([]byte{}, good[:len(good)-1]...), good[len(good)-1]^1), "signature"},
		{"cut off", good[:len(good)/2], "verify OCSP response"},
		{"try later", ocsp.TryLaterErrorResponse, "try later"},
		{"empty", nil, "verify OCSP response"},
	} {
		t.Run(s.name, func(t *testing.T) {
			until, err := c.CheckStaple(s.der, time.Now())
			if s.want == "" {
				if err != nil || until.Before(time.Now().Add(6*day)) {
					t.Errorf("until %v, %v", until, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), s.want) {
				t.Errorf("got %v, want %q", err, s.want)
			}
			if _, err := c.WithStaple(s.der, time.Now()); err == nil {
				t.Error("it is stapled all the same")
			}
		})
	}
	_, err := loaded(t, r.leaf).CheckStaple(good, time.Now())
	if err == nil || !strings.Contains(err.Error(), "append the") {
		t.Errorf("without its issuer: %v", err)
	}
}

func TestWithStaple(t *testing.T) {
	r := newResponder(t)
	c := loaded(t, r.leaf, r.ca)
	good := r.good(t)
	f := newFiles(t)
	for _, name := range []string{f.put("der", string(good)), f.put("pem", pemText("OCSP RESPONSE", good))} {
		stapled := must(c.WithStapleFile(name, time.Now()))(t)
		if string(stapled.TLS.OCSPStaple) != string(good) || c.TLS.OCSPStaple != nil || stapled.StapleUntil.IsZero() {
			t.Error("no staple, or one in the original")
		}
		if stapled.Fingerprint() != c.Fingerprint() || stapled.Unstapled() != c || c.Unstapled() != c {
			t.Error("a stapled certificate is another")
		}
		if again := must(stapled.WithStaple(r.good(t), time.Now()))(t); again.Unstapled() != c {
			t.Error("a chain of copies")
		}
		if w := stapled.Warnings(time.Now().Add(8 * day)); !mentions(w, "out of date") {
			t.Errorf("warnings %q", w)
		}
	}
	for name, words := range map[string]string{
		f.path("none"): "does not exist", f.put("text", "x"): "cannot be stapled",
		f.put("cert", certPEM(r.leaf)): "no OCSP", f.put("cut", "-----BEGIN OCSP RESPONSE-----\n"): "no OCSP",
	} {
		var fault *Fault
		_, err := c.WithStapleFile(name, time.Now())
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFetch(t *testing.T) {
	r := newResponder(t)
	c := loaded(t, r.leaf, r.ca)
	der, next, err := Fetch(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if stapled := must(c.WithStaple(der, time.Now()))(t); len(stapled.TLS.OCSPStaple) == 0 {
		t.Error("no staple")
	}
	if in := time.Until(next); in < 3*day || in > 4*day {
		t.Errorf("the next one is to be fetched in %v", in)
	}
	answer := r.answer
	for name, bad := range map[string]func(http.ResponseWriter, *http.Request){
		"too large":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxResponse+1)) },
		"500 Internal": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirects": func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "/", http.StatusTemporaryRedirect)
		},
		"revoked": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(r.sign(t, r.ca, func(o *ocsp.Response) { o.Status, o.RevokedAt = ocsp.Revoked, time.Now() }))
		},
	} {
		r.answer = bad
		want := map[string]string{"too large": "more than 64 KiB"}[name]
		if want == "" {
			want = name
		}
		if _, _, err := Fetch(context.Background(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.answer = answer
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Fetch(canceled, c); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	silent := loaded(t, mint(t, r.ca, nil, []string{"a.example"}), r.ca)
	if _, _, err := Fetch(context.Background(), silent); !errors.Is(err, ErrNoResponder) {
		t.Errorf("without responder: %v", err)
	}
	if _, _, err := Fetch(context.Background(), loaded(t, r.leaf)); err == nil {
		t.Error("fetched without the issuer")
	}
}
