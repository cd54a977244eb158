package inspect

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/config"
)

// questions are what is asked of testdata/explain/shop.toml; the answer is in a file of that name.
var questions = map[string]Question{
	"plain":      {URL: "http://shop.example.com:8080/"},
	"api":        {URL: "http://shop.example.com:8080/api/users?id=1"},
	"post":       {URL: "http://SHOP.example.com.:8080/api", Method: "POST", ClientIP: "10.1.2.3"},
	"beta":       {URL: "shop.example.com:8080/api/x?beta=1", Fields: []string{"x-beta: yes", "X-Other:1"}},
	"normalized": {URL: "http://shop.example.com/x/../%61pi//users?q=a b#top", Listener: "web"},
	"refused":    {URL: "http://shop.example.com/files%2f..%2fadmin", Listener: "web"},
	"closed":     {URL: "/closed", Listener: "web", Fields: []string{"Host: www.shop.example.com"}},
	"numbers":    {URL: "http://shop.example.com/77", Listener: "inside"},
	"https":      {URL: "https://shop.example.com/api", Listener: "web"},
	"tls": {URL: "https://shop.example.com/api", Listener: "web", TLS: TLS{
		SNI: "Shop.example.com", Version: "1.3", ALPN: []string{"h2"}, Suites: []string{"0x1301"},
		JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
	}},
	"named":   {URL: "http://shop.example.com/api", Listener: "web", Routes: []string{"admin", "mistake", "rest", "api"}},
	"connect": {URL: "http://shop.example.com:8081/", Method: "CONNECT"},
	"idn":     {URL: "http://bücher.example/für", Listener: "web", Routes: []string{"rest"}},
}

func TestExplain(t *testing.T) {
	c := load(t, "testdata/explain/shop.toml")
	for name, q := range questions {
		r, err := Explain(c, &q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden(t, "testdata/explain/"+name+".txt", r.Text())
	}
}

func TestExplainJSON(t *testing.T) {
	q := questions["post"]
	q.Routes = []string{"api", "api-beta"}
	r, err := Explain(load(t, "testdata/explain/shop.toml"), &q)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/explain/post.json", string(text)+"\n")
}

// Of a crowd the nearest are told, and how many others there are, and why.
func TestExplainMany(t *testing.T) {
	c := build(t, "prefixes", 3000)
	r, err := Explain(c, &Question{URL: "http://example.com/tenant-77/ap"})
	if err != nil || r.Status != 404 || len(r.Misses) != nearest || r.Misses[0].Rule != "PathPrefix(`/tenant-77/api`)" {
		t.Fatalf("%v: %+v", err, r)
	}
	if text := r.Text(); !strings.HasSuffix(text, "\n└─ and 2,980 have another path\n") {
		t.Error(text)
	}
	r, err = Explain(c, &Question{URL: "http://example.com/tenant-77/api", All: true})
	if err != nil || len(r.Misses) != 2999 || r.Winner == nil || r.Omitted != nil {
		t.Errorf("%v: %d told", err, len(r.Misses))
	}
}

// TestBadQuestions: each with what is said of it.
func TestBadQuestions(t *testing.T) {
	c := load(t, "testdata/explain/shop.toml")
	for _, tt := range []struct {
		q    Question
		want string
	}{
		{Question{URL: "ftp://x/"}, `read URL "ftp://x/": the scheme is "ftp", and not http or https`},
		{Question{}, `read URL "": it is empty; write / for the root`},
		{Question{URL: "http://u:p@x/"}, "there is a user name"},
		{Question{URL: "http://x:99999/"}, `"99999" is no port`},
		{Question{URL: "http://a..b/"}, `"a..b" is no host name`},
		{Question{URL: "http://*.x/"}, `"*.x" is no host name`},
		{Question{URL: "/", Method: "G T"}, `read method: "G T" cannot be one`},
		{Question{URL: "/", Fields: []string{"X"}}, `read header field "X": write it as 'Name: value'`},
		{Question{URL: "/", Fields: []string{"Host: a", "host: b"}}, "a request has one Host"},
		{Question{URL: "/", Fields: []string{"Host: a/b"}}, `read header field "Host: a/b": "a/b" is no host name`},
		{Question{URL: "/", ClientIP: "10.0.0"}, `read client address: "10.0.0" is none`},
		{Question{URL: "/", TLS: TLS{Version: "2"}}, `read TLS version: "2" is no version of TLS`},
		{Question{URL: "/", TLS: TLS{SNI: "*.x"}}, `read SNI: "*.x" is a pattern, and no name`},
		{Question{URL: "/", Listener: "wep"}, `find listener: there is none named "wep", but inside, web`},
		{Question{URL: "http://x/"}, "find listener: the URL does not tell which; say --listener and one of inside, web"},
		{Question{URL: "/", Listener: "web", Routes: []string{"x"}}, `find route: there is none named "x"`},
	} {
		if _, err := Explain(c, &tt.q); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.q, err, tt.want)
		}
	}
}

// Which listener a request comes in by, as far as the URL tells.
func TestListenerOfURL(t *testing.T) {
	const rest = "[routes.a]\nservice = \"a\"\n%s[services.a]\nendpoints = \"http://10.0.0.1\"\n"
	const two = "[listeners.a]\naddress = \":80\"\n[listeners.b]\naddress = \":443\"\n"
	const same = "[listeners.a]\naddress = \"127.0.0.1:80\"\n[listeners.b]\naddress = \"127.0.0.2:80\"\n"
	const socket = "[listeners.a]\naddress = \"unix:/a\"\n"
	for _, tt := range []struct{ listeners, route, url, want string }{
		{two, "", "/x", "a"}, {two, "", "https://x/", "b"}, {two, "listeners = \"b\"\n", "x", ""},
		{two, "listeners = \"b\"\n", "http://x", "a"}, {two, "listeners = \"b\"\n", "x:443", "b"},
		{same, "", "http://x/", "a"}, {same, "listeners = \"b\"\n", "http://x/", ""}, {socket, "", "http://x:99/", "a"},
	} {
		c := parse(t, tt.listeners+fmt.Sprintf(rest, tt.route))
		r, err := Explain(c, &Question{URL: tt.url})
		if (err == nil) != (tt.want != "") || err == nil && r.Listener.Name != tt.want {
			t.Errorf("%s with %q: %v %+v, want %q", tt.url, tt.route, err, r, tt.want)
		}
	}
}

// Hosts are shown as rules see them.
func TestHostOfURL(t *testing.T) {
	const text = "[listeners.a]\naddress = \":80\"\n[routes.a]\nservice = \"a\"\nhost = [\"[::1]\", \"x.y\"]\n" +
		"[services.a]\nendpoints = \"http://10.0.0.1\"\n"
	c := parse(t, text)
	for _, tt := range []struct {
		url, host, received string
		fits                bool
	}{
		{"http://[::1]:8080/", "[::1]", "", true}, {"http://[0::1]/", "[0::1]", "", false},
		{"http://X.y.:80/", "x.y", "X.y.", true}, {"/", "", "", false}, {"*", "", "", false},
	} {
		r, err := Explain(c, &Question{URL: tt.url})
		if err != nil || r.Request.Host != tt.host || r.Request.HostReceived != tt.received ||
			(r.Winner != nil) != tt.fits {
			t.Errorf("%s: %v %+v", tt.url, err, r)
		}
	}
}

// What is forwarded is what was matched, unless the configuration says otherwise.
func TestForwardedPath(t *testing.T) {
	const text = "[listeners.a]\naddress = \":80\"\n[routes.a]\nservice = \"a\"\n[services.a]\nendpoints = \"http://10.0.0.1\"\n"
	for setting, want := range map[string]string{"matched": "/b?x=//", "received": "/%61/../b?x=//"} {
		c, faults := config.Parse("x", []byte("[paths]\nforward = \""+setting+"\"\n"+text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		r, err := Explain(c, &Question{URL: "/%61/../b?x=//"})
		if err != nil || r.Forward.Path != want || r.Request.Path != "/b" {
			t.Errorf("%s: %v %+v", setting, err, r)
		}
	}
}

// What rules ask headers and queries for may be tokens.
func TestExplainMasked(t *testing.T) {
	c := load(t, "testdata/explain/shop.toml")
	q := questions["api"]
	for _, q.Masked = range []bool{false, true} {
		q.All = true
		r, err := Explain(c, &q)
		if err != nil {
			t.Fatal(err)
		}
		text := r.Text()
		if shown := strings.Contains(text, "Query(`beta`, `1`)"); shown == q.Masked {
			t.Errorf("masked %v:\n%s", q.Masked, text)
		}
	}
}
