package server

import (
	"fmt"
	"io"
)

// WriteMetrics writes what was counted for Prometheus.
func (p *process) WriteMetrics(w io.Writer, openMetrics bool) error {
	name, end := "uringproxy_requests_total", ""
	if openMetrics {
		name, end = "uringproxy_requests", "# EOF\n"
	}
	_, err := fmt.Fprintf(w, "# HELP %s Requests that ended.\n# TYPE %s counter\nuringproxy_requests_total %d\n%s",
		name, name, p.metrics.Snapshot().Requests(), end)
	return err
}
