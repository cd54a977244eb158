package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"
)

// token is the secret that requests have to show, as its hash: hashes are of one length, so that comparing them takes
// the same time whatever was shown.
type token struct {
	hash atomic.Pointer[[sha256.Size]byte] // nil: none is asked for
}

func (t *token) set(secret string) {
	if secret != "" {
		hash := sha256.Sum256([]byte(secret))
		t.hash.Store(&hash)
	}
}

func (t *token) wanted() bool { return t.hash.Load() != nil }

// bearer is the token that a request shows (RFC 6750, section 2.1), in its one Authorization field. What stands in a
// URL is in logs and histories, and is not looked at.
func bearer(r *http.Request) (shown string, ok bool) {
	fields := r.Header["Authorization"]
	if len(fields) != 1 {
		return "", false
	}
	scheme, shown, _ := strings.Cut(fields[0], " ")
	return strings.Trim(shown, " "), strings.EqualFold(scheme, "Bearer")
}

// check tells whether a request may go on, and answers it otherwise (RFC 6750, section 3).
func (t *token) check(w http.ResponseWriter, r *http.Request) bool {
	challenge, what := `Bearer realm="uringproxy"`, "this needs a token"
	if shown, ok := bearer(r); ok {
		hash := sha256.Sum256([]byte(shown))
		if subtle.ConstantTimeCompare(hash[:], t.hash.Load()[:]) == 1 {
			return true
		}
		challenge, what = challenge+`, error="invalid_token"`, "this is not the token"
	}
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Connection", "close") // who guesses has to connect each time
	refuse(w, http.StatusUnauthorized, what, "send the one in admin.token_file as \"Authorization: Bearer TOKEN\"; "+
		"the commands do so with --token-file FILE or --config FILE")
	return false
}
