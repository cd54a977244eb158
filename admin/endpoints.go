package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// endpoint is one thing that can be asked for. A new one is a line in endpoints, and a method.
type endpoint struct {
	method, path string
	summary      string
	answer       http.HandlerFunc
}

func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{"GET", "/healthz", "is the process alive?", s.health},
		{"GET", "/readyz", "does it take new clients?", s.ready},
		{"GET", "/api/status", "what it runs, and what became of the last reload", s.status},
		{"POST", "/api/reload", "read the configuration again", s.reload},
	}
}

// route finds the endpoint of a request.
func (s *Server) route() http.Handler {
	endpoints := s.endpoints()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var methods []string
		for _, e := range endpoints {
			if e.path != r.URL.Path {
				continue
			}
			if e.method == r.Method || e.method == http.MethodGet && r.Method == http.MethodHead {
				e.answer(w, r)
				return
			}
			methods = append(methods, e.method)
		}
		switch {
		case methods != nil:
			w.Header().Set("Allow", strings.Join(methods, ", "))
			refuse(w, http.StatusMethodNotAllowed, "not with "+r.Method, "use "+strings.Join(methods, " or "))
		case r.URL.Path == "/":
			index(w, endpoints)
		default:
			refuse(w, http.StatusNotFound, "there is nothing at "+r.URL.Path, "GET / lists what there is")
		}
	})
}

// index lists the endpoints.
func index(w http.ResponseWriter, endpoints []endpoint) {
	var b strings.Builder
	b.WriteString("uringproxy\n\n")
	for _, e := range endpoints {
		fmt.Fprintf(&b, "%-4s %-12s %s\n", e.method, e.path, e.summary)
	}
	text(w, b.String())
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { text(w, "ok\n") }

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if !s.process.Ready() {
		refuse(w, http.StatusServiceUnavailable, "draining", "the process finishes what it has begun, and ends")
		return
	}
	text(w, "ready\n")
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.process.Status())
}

func (s *Server) reload(w http.ResponseWriter, _ *http.Request) {
	done := s.process.Reload()
	code := http.StatusOK
	if !done.Reload.OK {
		code = http.StatusUnprocessableEntity
	}
	reply(w, code, done)
}

// Problem is the body of every refusal.
type Problem struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

func refuse(w http.ResponseWriter, code int, what, hint string) { reply(w, code, Problem{what, hint}) }

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(body) // who asked has left
}

func text(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(body)) // who asked has left
}
