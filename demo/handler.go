package demo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Bounds of what a request may ask for.
const (
	maxBytes = 4 << 30
	maxSlow  = 30 * time.Second
	maxLines = 100
	maxEvery = 5 * time.Second
)

// Handler answers as the upstream of that name.
func Handler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, view(name, r)) // fails when the client has gone
	})
	mux.HandleFunc("/json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(view(name, r))
	})
	mux.HandleFunc("/bytes/{n}", sendBytes)
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) { stream(w, r, name) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) { slow(w, r, name) })
	mux.HandleFunc("/status/{code}", status)
	mux.HandleFunc("/echo", echo)
	named := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Upstream", name)
		mux.ServeHTTP(w, r)
	}
	return http.HandlerFunc(named)
}

// seen is a request as the upstream saw it.
type seen struct {
	Upstream string  `json:"upstream"`
	Method   string  `json:"method"`
	Target   string  `json:"target"`
	Protocol string  `json:"protocol"`
	Peer     string  `json:"peer"`
	Header   []field `json:"header"`
}

type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Added bool   `json:"-"` // such as a proxy adds
}

var addedByProxies = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
	"X-Forwarded-Proto", "X-Request-Id"}

func view(name string, r *http.Request) seen {
	s := seen{name, r.Method, r.RequestURI, r.Proto, r.RemoteAddr, []field{{"Host", r.Host, false}}}
	var keys []string
	for k := range r.Header {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, v := range r.Header[k] {
			s.Header = append(s.Header, field{k, v, slices.Contains(addedByProxies, k)})
		}
	}
	return s
}

// sendBytes sends a body of as many bytes as the path says: "0123456789abcdef" over and over.
func sendBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > maxBytes {
		http.Error(w, fmt.Sprintf("/bytes/N: N is a number from 0 to %d", int64(maxBytes)), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, io.LimitReader(pattern{}, n))
	}
}

// pattern reads as the sixteen digits, without end; reads of a multiple of 16 bytes keep in step.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	const digits = "0123456789abcdef"
	if len(p) >= len(digits) {
		p = p[:len(p)&^(len(digits)-1)]
	}
	for i := 0; i < len(p); {
		i += copy(p[i:], digits)
	}
	return len(p), nil
}

// stream sends lines as events (WHATWG HTML, server-sent events), ?n=10 of them, ?every=300ms.
func stream(w http.ResponseWriter, r *http.Request, name string) {
	n, err := strconv.Atoi(or(r.FormValue("n"), "10"))
	every, err2 := time.ParseDuration(or(r.FormValue("every"), "300ms"))
	if err != nil || err2 != nil || n < 1 || n > maxLines || every < 0 || every > maxEvery {
		http.Error(w, fmt.Sprintf("/stream?n=10&every=300ms: n is at most %d, every at most %v", maxLines, maxEvery),
			http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	for i := range n {
		if i > 0 && !pause(r, every) {
			return
		}
		fmt.Fprintf(w, "data: %d of %d from upstream %s\n\n", i+1, n, name)
		if flusher.Flush() != nil {
			return
		}
	}
}

// slow answers after ?for=2s.
func slow(w http.ResponseWriter, r *http.Request, name string) {
	d, err := time.ParseDuration(or(r.FormValue("for"), "2s"))
	if err != nil || d < 0 || d > maxSlow {
		http.Error(w, fmt.Sprintf("/slow?for=2s: at most %v", maxSlow), http.StatusBadRequest)
		return
	}
	if pause(r, d) {
		fmt.Fprintf(w, "upstream %s took its time: %v\n", name, d)
	}
}

// pause waits; false when the client went away meanwhile.
func pause(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// status answers with the status that the path says. Redirects lead to the front page.
func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		http.Error(w, "/status/CODE: CODE is a number from 200 to 599", http.StatusBadRequest)
		return
	}
	if code/100 == 3 && code != http.StatusNotModified {
		w.Header().Set("Location", "/")
	}
	w.WriteHeader(code)
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintf(w, "%d %s\n", code, http.StatusText(code))
	}
}

// echo sends the request's body back, as it comes.
func echo(w http.ResponseWriter, r *http.Request) {
	if t := r.Header.Get("Content-Type"); t != "" {
		w.Header().Set("Content-Type", t)
	}
	if r.ContentLength > 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex() // HTTP/1.0 has none; the body is small enough then, or the client waits
	_, _ = io.Copy(w, r.Body)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
