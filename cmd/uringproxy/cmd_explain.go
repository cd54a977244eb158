package main

import (
	"fmt"
	"io"
	"os"
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
	f.IntVar(&q.Port, "port", 0, "")
	f.StringVar(&q.TLS.SNI, "sni", "", "")
	f.separated("alpn", &q.TLS.ALPN)
	f.StringVar(&q.TLS.Version, "tls-version", "", "")
	f.separated("cipher-suite", &q.TLS.Suites)
	f.StringVar(&q.TLS.JA4, "ja4", "", "")
	f.list("client-cert", &q.TLS.ClientCert)
	hello := f.String("client-hello", "", "")
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
	case len(urls) > 1 || len(urls) == 0 && !q.TLS.Given() && *hello == "" && q.Listener == "" && q.Port == 0:
		return env.usage("explain takes one URL, and has %d; see: uringproxy help explain", len(urls))
	}
	if len(urls) == 1 {
		q.URL = urls[0]
	}
	if *hello != "" {
		var err error
		if q.TLS.Hello, err = clientHello(*hello); err != nil {
			return env.failed(err)
		}
	}
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

// maxHelloFile is more than the longest ClientHello has in digits with something between them.
const maxHelloFile = 128 << 10

// clientHello reads a file, or what is piped into the command for "-".
func clientHello(name string) ([]byte, error) {
	from := io.Reader(os.Stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read ClientHello: %w", err)
		}
		defer file.Close()
		from = file
	}
	b, err := io.ReadAll(io.LimitReader(from, maxHelloFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read ClientHello: %w", err)
	case len(b) == 0:
		return nil, fmt.Errorf("read ClientHello: %s is empty", name)
	case len(b) > maxHelloFile:
		return nil, fmt.Errorf("read ClientHello: %s has more than %d bytes, which none has", name, maxHelloFile)
	}
	return b, nil
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
