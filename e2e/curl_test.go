package e2e

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// front is one way to the proxy: the URL of its root and curl's arguments for it.
type front struct {
	name, url string
	args      []string
}

// curlCase is one run of curl. {URL} in args stands for the front's URL; {FILE} for a file that holds body.
type curlCase struct {
	name   string
	args   []string
	stdin  string
	method string // of the request that the upstream should see, as are the next two
	target string
	body   string
	n      int64 // length of the response's body; 0: the default of one sum
	status string
	check  func(t *testing.T, run curlRun)
}

const form = "name=value&other=%C3%A9"

var curlCases = []curlCase{
	{name: "GET", args: []string{"{URL}/get?a=b%20c"}, method: "GET", target: "/get?a=b%20c", check: forwarded},
	{name: "HEAD", args: []string{"-I", "{URL}/head?n=123"}, method: "HEAD", target: "/head?n=123",
		check: contains("Content-Length: 123\r\n")},
	{name: "POST", args: []string{"-d", form, "{URL}/post"}, method: "POST", target: "/post", body: form},
	{name: "PUT", args: []string{"-T", "{FILE}", "{URL}/put"}, method: "PUT", target: "/put", body: "file"},
	{name: "DELETE", args: []string{"-X", "DELETE", "{URL}/delete"}, method: "DELETE", target: "/delete"},
	{name: "PATCH", args: []string{"-X", "PATCH", "-d", form, "{URL}/patch"},
		method: "PATCH", target: "/patch", body: form},
	{name: "OPTIONS", args: []string{"-X", "OPTIONS", "{URL}/opt"}, method: "OPTIONS", target: "/opt"},
	{name: "OPTIONS of the server", args: []string{"-X", "OPTIONS", "--request-target", "*", "{URL}"},
		method: "OPTIONS", target: "*"},
	{name: "unknown method", args: []string{"-X", "PURGE", "{URL}/purge"}, method: "PURGE", target: "/purge"},
	{name: "GET in HTTP 1.0", args: []string{"-0", "{URL}/old"}, method: "GET", target: "/old"},
	{name: "POST in HTTP 1.0", args: []string{"-0", "-d", form, "{URL}/old"},
		method: "POST", target: "/old", body: form},
	{name: "chunked response for HTTP 1.0", args: []string{"-0", "{URL}/old?chunked=1&n=100000"},
		method: "GET", target: "/old?chunked=1&n=100000", n: 100_000, check: lacks("Transfer-Encoding")},
	{name: "chunked response", args: []string{"{URL}/c?chunked=1&n=100000"},
		method: "GET", target: "/c?chunked=1&n=100000", n: 100_000, check: contains("Transfer-Encoding: chunked\r\n")},
	{name: "chunked upload", args: []string{"-T", "-", "{URL}/up"}, stdin: strings.Repeat("stream", 50_000),
		method: "PUT", target: "/up", body: strings.Repeat("stream", 50_000)},
	{name: "empty chunked upload", args: []string{"-T", "-", "{URL}/up"}, method: "PUT", target: "/up"},
	{name: "Expect", args: []string{"-H", "Expect: 100-continue", "-d", form, "{URL}/expect"},
		method: "POST", target: "/expect", body: form, check: contains("HTTP/1.1 100")},
	{name: "Expect with chunks", args: []string{"-H", "Expect: 100-continue", "-T", "-", "{URL}/expect"},
		stdin: "late", method: "PUT", target: "/expect", body: "late", check: contains("HTTP/1.1 100")},
	{name: "redirect", args: []string{"{URL}/r?status=302&location=https://example.test/x"}, status: "302",
		method: "GET", target: "/r?status=302&location=https://example.test/x",
		check: contains("Location: https://example.test/x\r\n")},
	{name: "not modified", args: []string{"{URL}/n?status=304"}, status: "304", method: "GET", target: "/n?status=304"},
	{name: "no content", args: []string{"{URL}/n?status=204"}, status: "204", method: "GET", target: "/n?status=204"},
	{name: "upstream's error", args: []string{"{URL}/e?status=503"}, status: "503",
		method: "GET", target: "/e?status=503"},
	{name: "cookies and agents", args: []string{"-A", "agent", "-b", "a=b", "-e", "http://x.test/", "{URL}/h"},
		method: "GET", target: "/h", check: contains("X-Got-Cookie: a=b\r\n")},
	{name: "dots in the path", args: []string{"--path-as-is", "{URL}/a/../b/./c"},
		method: "GET", target: "/b/c"},
}

func TestCurl(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up := NewChecking(t)
		p, fronts := startFronts(t, up, engine)
		for _, f := range fronts {
			t.Run(f.name, func(t *testing.T) {
				for _, c := range curlCases {
					t.Run(c.name, func(t *testing.T) { c.run(t, f) })
				}
			})
		}
		t.Run("proxy form", func(t *testing.T) { curlProxyForm(t, fronts[0]) })
		t.Run("reuse", func(t *testing.T) { curlReuse(t, fronts[0]) })
		t.Run("large upload", func(t *testing.T) { curlLargeUpload(t, fronts[0]) })
		t.Run("large download", func(t *testing.T) { curlLargeDownload(t, fronts[0]) })
		p.Stop()
	})
}

// startFronts starts a proxy before up that listens in every way there is.
func startFronts(t *testing.T, up *Checking, engine string) (*Proxy, []front) {
	v4, socket := FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "proxy.sock")
	addrs := []string{v4, "unix:" + socket}
	fronts := []front{
		{name: "IPv4", url: "http://" + v4},
		{name: "unix socket", url: "http://unix.test", args: []string{"--unix-socket", socket}},
	}
	if HaveIPv6() {
		v6 := FreeAddr(t, "::1")
		addrs = append(addrs, v6)
		fronts = append(fronts, front{name: "IPv6", url: "http://" + v6})
	}
	return Start(t, Config(up.URL, addrs...), "--engine", engine), fronts
}

// run runs the case's curl and checks the answer.
func (c *curlCase) run(t *testing.T, f front) {
	replace := strings.NewReplacer("{URL}", f.url)
	if slices.Contains(c.args, "{FILE}") {
		file := filepath.Join(t.TempDir(), "body")
		if err := os.WriteFile(file, []byte(c.body), 0o600); err != nil {
			t.Fatal(err)
		}
		replace = strings.NewReplacer("{URL}", f.url, "{FILE}", file)
	}
	args := slices.Clone(f.args)
	for _, a := range c.args {
		args = append(args, replace.Replace(a))
	}
	run := curl(t, strings.NewReader(c.stdin), args...)

	want, sum := max(c.n, 65), SumText(c.method, c.target, c.body)
	status := c.status
	if status == "" {
		status = "200"
	}
	if c.method == "HEAD" || status == "204" || status == "304" {
		want = 0
	}
	body := run.stdout
	if c.method == "HEAD" {
		body = "" // curl -I prints the head instead
	}
	if run.info != status+" 1.1 1\n" {
		t.Errorf("status, version and connections: %q, want %q", run.info, status+" 1.1 1\n")
	}
	if err := CheckBody(strings.NewReader(body), sum, want); err != nil {
		t.Errorf("%v\n%s%.200s", err, run.heads, run.stdout)
	}
	if !strings.Contains(run.heads, "\r\nX-Sum: "+sum+"\r\n") {
		t.Errorf("the answer belongs to another request:\n%s", run.heads)
	}
	if c.check != nil {
		c.check(t, run)
	}
}

// forwarded checks that the upstream was told of the client.
func forwarded(t *testing.T, run curlRun) {
	for _, field := range []string{"X-Got-Via: ", "X-Got-X-Forwarded-Proto: http\r\n", "X-Got-X-Request-Id: "} {
		if !strings.Contains(run.heads, "\r\n"+field) {
			t.Errorf("%q is missing in\n%s", field, run.heads)
		}
	}
}

func contains(text string) func(*testing.T, curlRun) {
	return func(t *testing.T, run curlRun) {
		if !strings.Contains(run.heads, text) {
			t.Errorf("%q is missing in\n%s", text, run.heads)
		}
	}
}

func lacks(text string) func(*testing.T, curlRun) {
	return func(t *testing.T, run curlRun) {
		if strings.Contains(run.heads, text) {
			t.Errorf("%q should not be in\n%s", text, run.heads)
		}
	}
}

// curlProxyForm uses the proxy as a forward proxy is used, with the absolute form of the target: the host is
// the target's, and the upstream gets the origin form.
func curlProxyForm(t *testing.T, f front) {
	run := curl(t, nil, "-x", f.url, "http://example.test/abs?x=1")
	if sum := SumText("GET", "/abs?x=1", ""); run.stdout != sum+"\n" {
		t.Errorf("got %q, want the sum %s", run.stdout, sum)
	}
	contains("X-Got-Host: example.test\r\n")(t, run)
	lacks("X-Got-Proxy-Connection")(t, run)
}

// curlReuse asks several times and expects one connection: after each kind of body, after HEAD, and after an upload.
func curlReuse(t *testing.T, f front) {
	run := curl(t, nil, f.url+"/1", f.url+"/2?chunked=1&n=70000", f.url+"/3?n=1", f.url+"/4?status=304", f.url+"/5")
	if want := "200 1.1 1\n200 1.1 0\n200 1.1 0\n304 1.1 0\n200 1.1 0\n"; run.info != want {
		t.Errorf("status, version and new connections:\n%swant\n%s", run.info, want)
	}
	run = curl(t, nil, "-d", form, f.url+"/6", f.url+"/7", "--next", "-sS", "-I", "-w", curlInfo, f.url+"/8")
	if want := "200 1.1 1\n200 1.1 0\n200 1.1 0\n"; run.info != want {
		t.Errorf("status, version and new connections:\n%swant\n%s", run.info, want)
	}
}

const large = 64 << 20

func curlLargeUpload(t *testing.T, f front) {
	file := filepath.Join(t.TempDir(), "large")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(out, Body("upload", large)); err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Sum("PUT", "/large", http.Header{"X-Test-Kind": {"large"}}, Body("upload", large))
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range [][]string{{"-T", file}, {"-T", file, "-H", "Transfer-Encoding: chunked"}} {
		run := curl(t, nil, append(how, "-H", "X-Test-Kind: large", f.url+"/large")...)
		if run.stdout != sum+"\n" {
			t.Errorf("%v: got %.100q, want the sum %s", how, run.stdout, sum)
		}
	}
}

func curlLargeDownload(t *testing.T, f front) {
	for _, target := range []string{"/large?n=67108864", "/large?n=67108864&chunked=1"} {
		run := curl(t, nil, f.url+target)
		if err := CheckBody(strings.NewReader(run.stdout), SumText("GET", target, ""), large); err != nil {
			t.Error(err)
		}
	}
}

// curlRun is what a run of curl brought: the bodies, all heads that came (interim ones too), and for each transfer a
// line of curlInfo.
type curlRun struct{ stdout, heads, info string }

const curlInfo = "%{stderr}%{http_code} %{http_version} %{num_connects}\n"

// curl runs curl, which has to succeed.
func curl(t *testing.T, stdin io.Reader, args ...string) curlRun {
	t.Helper()
	heads := filepath.Join(t.TempDir(), "heads")
	args = append([]string{"-q", "-sS", "-m", "120", "-D", heads, "-w", curlInfo}, args...)
	cmd := exec.Command(Tool(t, "curl"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env = []string{"LC_ALL=C"} // without the proxies that the user may have set
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("curl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	b, err := os.ReadFile(heads)
	if err != nil {
		t.Fatal(err)
	}
	return curlRun{stdout.String(), string(b), stderr.String()}
}
