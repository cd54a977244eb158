package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// endpoint is one thing that can be asked for. A new one is a line in list, and a method.
type endpoint struct {
	methods []string
	path    string // with a slash at its end: everything below
	open    bool   // to those without a token: probes have none
	summary string
	answer  http.HandlerFunc
}

// get and post are the methods of most endpoints.
var get, post, both = []string{"GET"}, []string{"POST"}, []string{"GET", "POST"}

func (s *Server) list() []endpoint {
	all := []endpoint{
		{get, "/healthz", true, "is the process alive?", s.health},
		{get, "/readyz", true, "does it take new clients?", s.ready},
		{get, "/metrics", false, "counters and timings, for Prometheus", s.metrics},
		{get, "/api/status", false, "what it runs, what it does, and what became of the last reload", s.status},
		{get, "/api/config", false, "the configuration in force", s.config},
		{both, "/api/explain", false, "what becomes of a request or a connection, and why: ?url=", s.explanation},
		{get, "/api/metrics.json", false, "counters and timings, for uringproxy top", s.figures},
		{post, "/api/reload", false, "read the configuration again", s.reload},
	}
	if s.pprof {
		all = append(all, endpoint{both, "/debug/pprof/", false, "profiles of the process, for go tool pprof", profile})
	}
	return all
}

// find looks the endpoint of a path up; nil when there is none.
func (s *Server) find(path string) *endpoint {
	for i := range s.endpoints {
		e := &s.endpoints[i]
		if e.path == path || strings.HasSuffix(e.path, "/") && strings.HasPrefix(path, e.path) {
			return e
		}
	}
	return nil
}

// answer has the endpoint of a request answer it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	e := s.find(r.URL.Path)
	switch {
	case e == nil && r.URL.Path == "/":
		s.index(w)
	case e == nil:
		refuse(w, http.StatusNotFound, "there is nothing at "+r.URL.Path, "GET / lists what there is")
	case slices.Contains(e.methods, r.Method),
		r.Method == http.MethodHead && slices.Contains(e.methods, http.MethodGet):
		e.answer(w, r)
	default:
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		refuse(w, http.StatusMethodNotAllowed, "not with "+r.Method, "use "+strings.Join(e.methods, " or "))
	}
}

// index lists the endpoints.
func (s *Server) index(w http.ResponseWriter) {
	var b strings.Builder
	b.WriteString("uringproxy\n\n")
	for _, e := range s.endpoints {
		fmt.Fprintf(&b, "%-8s  %-17s  %s\n", strings.Join(e.methods, ","), e.path, e.summary)
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

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	s.figure(w, r, "application/json", func(out io.Writer) error { return encode(out, s.process.Status()) })
}

func (s *Server) figures(w http.ResponseWriter, r *http.Request) {
	s.figure(w, r, "application/json", func(out io.Writer) error {
		return json.NewEncoder(out).Encode(s.process.Metrics())
	})
}

// figure answers with what write writes. It is written for one at a time, and sent when it is complete, so that who
// reads slowly keeps nobody waiting, and who reads gets all of it or an error.
func (s *Server) figure(w http.ResponseWriter, r *http.Request, kind string, write func(io.Writer) error) {
	if !s.answers.enter(r) {
		busy(w)
		return
	}
	defer s.answers.leave()
	if !s.counts.enter(r) {
		busy(w)
		return
	}
	var body bytes.Buffer
	err := func() error {
		defer s.counts.leave()
		return write(&body)
	}()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error(), "this is a bug of uringproxy: please report it")
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendTimeout)) // all connections have one
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	_, _ = w.Write(body.Bytes()) // who asked has left
}

// busy answers who has left, or nearly.
func busy(w http.ResponseWriter) {
	refuse(w, http.StatusServiceUnavailable, "others are being answered", "ask again")
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
	_ = encode(w, body) // who asked has left
}

// encode writes JSON that people can read too.
func encode(w io.Writer, body any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(body)
}

func text(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(body)) // who asked has left
}
