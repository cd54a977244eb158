package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Question is a request to be explained, or a connection alone: the body of POST /api/explain. With GET it is in the
// query, by the same names, and lists by repeating them.
type Question struct {
	// http://example.com/path?query, example.com/path or /path; empty where it is about a connection, or datagrams
	URL         string   `json:"url"`
	Method      string   `json:"method"`
	Headers     []string `json:"header"` // as "Name: value"
	ClientIP    string   `json:"client_ip"`
	Port        int      `json:"port"`     // that the client has connected to; 0: the listener's
	Listener    string   `json:"listener"` // its name; empty: the one that the URL leads to
	SNI         string   `json:"sni"`
	ALPN        []string `json:"alpn"`
	TLSVersion  string   `json:"tls_version"`
	CipherSuite []string `json:"cipher_suite"`
	JA4         string   `json:"ja4"`
	ClientHello string   `json:"client_hello"` // in hex
	ClientCert  []string `json:"client_cert"`  // names in a certificate that the client shows, taken to be valid
	Routes      []string `json:"route"`        // those to explain beside the winner; none: those that are nearest
}

// explanation answers what becomes of a request.
func (s *Server) explanation(w http.ResponseWriter, r *http.Request) {
	q, err := readQuestion(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "ask for example: /api/explain?url=http://example.com/path")
		return
	}
	if !s.explains.enter(r) {
		busy(w)
		return
	}
	defer s.explains.leave()
	report, err := s.process.Explain(q)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error(), "GET /api/config has the listeners and routes that there are")
		return
	}
	reply(w, http.StatusOK, report)
}

func readQuestion(r *http.Request) (*Question, error) {
	q := &Question{}
	if r.Method == http.MethodPost {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(q); err != nil {
			return nil, fmt.Errorf("read question: %s", strings.TrimPrefix(err.Error(), "json: "))
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("read question: there is more after it")
		}
	} else if err := q.parse(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if q.URL == "" && q.Listener == "" && q.Port == 0 && !q.secure() {
		return nil, errors.New("read question: there is no url, no listener, and nothing of TLS")
	}
	return q, nil
}

// secure reports whether something of TLS is said.
func (q *Question) secure() bool {
	return q.SNI+q.TLSVersion+q.JA4+q.ClientHello != "" || len(q.ALPN)+len(q.CipherSuite)+len(q.ClientCert) > 0
}

// parse reads a question from a query.
func (q *Question) parse(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	one := map[string]*string{
		"url": &q.URL, "method": &q.Method, "client_ip": &q.ClientIP, "listener": &q.Listener, "sni": &q.SNI,
		"tls_version": &q.TLSVersion, "ja4": &q.JA4, "client_hello": &q.ClientHello,
	}
	port := ""
	one["port"] = &port
	many := map[string]*[]string{
		"header": &q.Headers, "alpn": &q.ALPN, "cipher_suite": &q.CipherSuite,
		"client_cert": &q.ClientCert, "route": &q.Routes,
	}
	for name, all := range values {
		switch {
		case many[name] != nil:
			*many[name] = all
		case one[name] == nil:
			return fmt.Errorf("read question: unknown parameter %q", name)
		case len(all) > 1:
			return fmt.Errorf("read question: %s is there more than once", name)
		default:
			*one[name] = all[0]
		}
	}
	if port != "" {
		if q.Port, err = strconv.Atoi(port); err != nil {
			return fmt.Errorf("read question: port %q is no number", port)
		}
	}
	return nil
}
