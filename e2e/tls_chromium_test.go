package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// page asks for more, several at a time, and says when all of it was there.
const page = `<!DOCTYPE html><title>e2e</title><link rel="icon" href="data:,"><p id="p">loading</p><script>
const all = [...Array(12).keys()].map(i => fetch("/part/" + i, {method: "POST", body: "x".repeat(50000)})
	.then(r => r.text()))
Promise.all(all).then(t => document.getElementById("p").textContent = "fetched " + t.join(" "))
</script>`

// A browser, with what it puts into its ClientHello: GREASE, an order of extensions that changes, a group that
// withstands quantum computers, and ECH that nobody can read.
func TestTLSOfChromium(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, page)
			return
		}
		sum, err := Sum(r.Method, r.URL.Path, nil, r.Body)
		if err == nil {
			fmt.Fprint(w, sum)
		}
	}))
	t.Cleanup(up.Close)
	var parts []string
	for i := range 12 {
		parts = append(parts, SumText("POST", fmt.Sprint("/part/", i), strings.Repeat("x", 50000)))
	}
	want := "fetched " + strings.Join(parts, " ") + "<"
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		id := ca.Issue([]string{"127.0.0.1"})
		p := mode.Start(t, Config(up.URL)+SecureListener("s", addr, id))
		browser := launch(t, exec.Command(Tool(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu",
			"--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking", "--no-proxy-server",
			"--user-data-dir="+t.TempDir(), "--ignore-certificate-errors-spki-list="+fingerprint(id),
			"--virtual-time-budget=20000", "--timeout=20000", "--dump-dom", "https://"+addr+"/"))
		if code := browser.Wait(); code != 0 || !strings.Contains(browser.Output(), want) {
			t.Errorf("exit code %d, and the page has not fetched what it should", code)
		}
		p.Stop()
	})
}

// fingerprint is how a browser is told to trust a key.
func fingerprint(id *Identity) string {
	sum := sha256.Sum256(id.TLS.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
