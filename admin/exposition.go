package admin

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Media types of GET /metrics.
const (
	prometheusText = "text/plain; version=0.0.4; charset=utf-8"
	openMetrics    = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	open, kind := wantsOpenMetrics(r.Header.Values("Accept")), prometheusText
	if open {
		kind = openMetrics
	}
	w.Header().Set("Vary", "Accept")
	s.figure(w, r, kind, func(out io.Writer) error { return s.process.WriteMetrics(out, open) })
}

// wantsOpenMetrics tells whether an Accept field (RFC 9110, section 12.5.1) prefers OpenMetrics 1.0 to plain text.
func wantsOpenMetrics(accept []string) bool {
	open, plain := -1.0, -1.0
	for _, field := range accept {
		for item := range strings.SplitSeq(field, ",") {
			kind, parameters, _ := strings.Cut(item, ";")
			q, version := quality(parameters)
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "application/openmetrics-text":
				if version == "" || version == "1.0.0" {
					open = max(open, q)
				}
			case "text/plain", "text/*", "*/*":
				plain = max(plain, q)
			}
		}
	}
	return open > 0 && open >= plain
}

// quality reads the weight and the version of an item of Accept.
func quality(parameters string) (q float64, version string) {
	q = 1
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(name) {
		case "q":
			if v, err := strconv.ParseFloat(value, 64); err == nil && v >= 0 && v <= 1 {
				q = v
			}
		case "version":
			version = strings.Trim(value, `"`)
		}
	}
	return q, version
}
