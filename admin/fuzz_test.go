package admin

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever stands in Accept, OpenMetrics is sent only to who names it.
func FuzzAccept(f *testing.F) {
	f.Add("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1")
	f.Add("text/plain;;q=,,;application/openmetrics-text")
	f.Fuzz(func(t *testing.T, accept string) {
		if wantsOpenMetrics([]string{accept}) && !strings.Contains(strings.ToLower(accept), "openmetrics") {
			t.Errorf("%q", accept)
		}
	})
}

// A question in a query is refused or understood, and understood the same way when it is written anew.
func FuzzQuestion(f *testing.F) {
	f.Add("url=http://a.test/x&header=X:+1&header=Y:+2&route=r")
	f.Add("url=%zz&url=;")
	f.Fuzz(func(t *testing.T, query string) {
		var q, again Question
		if q.parse(query) != nil {
			return
		}
		v, err := url.ParseQuery(query)
		if err != nil || again.parse(v.Encode()) != nil || again.URL != q.URL || len(again.Headers) != len(q.Headers) {
			t.Errorf("%q: %+v, %+v", query, q, again)
		}
	})
}

// Only the token opens.
func FuzzBearer(f *testing.F) {
	f.Add("Bearer " + secret)
	f.Add("bearer\t" + secret)
	f.Add("Basic dXNlcjpwYXNz")
	var wanted token
	wanted.set(secret)
	f.Fuzz(func(t *testing.T, field string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{field}
		scheme, shown, _ := strings.Cut(field, " ")
		want := strings.EqualFold(scheme, "bearer") && strings.Trim(shown, " ") == secret
		if got := wanted.check(httptest.NewRecorder(), r); got != want {
			t.Errorf("%q: %v", field, got)
		}
	})
}
