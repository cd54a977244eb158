package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/inspect"
)

func runExplain(env *environment, args []string) int {
	f := env.flags("explain")
	var paths []string
	var q inspect.Question
	f.list("config", &paths)
	f.StringVar(&q.Listener, "listener", "", "")
	f.StringVar(&q.Method, "X", "", "")
	f.list("H", &q.Fields)
	f.StringVar(&q.ClientIP, "client-ip", "", "")
	f.StringVar(&q.TLS.SNI, "sni", "", "")
	f.list("alpn", &q.TLS.ALPN)
	f.StringVar(&q.TLS.Version, "tls-version", "", "")
	f.list("cipher-suite", &q.TLS.Suites)
	f.StringVar(&q.TLS.JA4, "ja4", "", "")
	f.list("route", &q.Routes)
	f.BoolVar(&q.All, "all", false, "")
	format := "text"
	f.choice("format", &format, "text", "json")
	urls, code, done := f.parseMixed(args)
	switch {
	case done:
		return code
	case len(paths) == 0:
		return env.usage("explain needs --config FILE; see: uringproxy help explain")
	case len(urls) != 1:
		return env.usage("explain takes one URL, and has %d; see: uringproxy help explain", len(urls))
	}
	q.URL = urls[0]
	c, faults := config.Load(paths)
	if len(faults) > 0 {
		return env.faulty(faults)
	}
	r, err := inspect.Explain(c, &q)
	if err != nil {
		return env.usage("%v", err)
	}
	if format == "json" {
		err = writeJSON(env.stdout, r)
	} else {
		_, err = io.WriteString(env.stdout, env.painted(r))
	}
	if err != nil {
		return env.failed(fmt.Errorf("write report: %w", err))
	}
	return exitOK
}

// painted is the report with its winner in colour, where that can be seen.
func (env *environment) painted(r *inspect.Report) string {
	text := r.Text()
	if r.Winner == nil {
		return text
	}
	head := "\n" + r.Winner.Route + " gets it "
	return strings.Replace(text, head, "\n"+painter(env.stdout)(green, head[1:]), 1)
}
