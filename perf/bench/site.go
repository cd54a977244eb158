package bench

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/origin"
)

//go:embed configs
var configs embed.FS

var templates = template.Must(template.ParseFS(configs, "configs/*"))

// loadedHost is the host of the route that carries the load, where there are others.
const loadedHost = "loaded.example.com"

// service is an upstream.
type service struct {
	Name string
	Port int
}

// serviceNames are those of all upstreams of requests. All unrelated routes lead to the first.
var serviceNames = []string{"a", "b"}

// upstreams are all of them.
var upstreams = []origin.Service{
	{Name: "a"}, {Name: "b"},
	{Name: "echo", Kind: origin.Echo}, {Name: "source", Kind: origin.Source}, {Name: "mirror", Kind: origin.Datagrams},
}

// servicesFor are those of all that take what is passed on.
func servicesFor(wire load.Wire, all []service) (fitting []service) {
	kind := map[load.Wire]origin.Kind{
		load.Echo: origin.Echo, load.Bulk: origin.Source, load.Datagrams: origin.Datagrams,
	}[wire] // requests, and WebSockets that begin with one, otherwise
	for i, s := range all {
		if upstreams[i].Kind == kind {
			fitting = append(fitting, s)
		}
	}
	return fitting
}

// site is what a proxy is configured to do, in no proxy's language: as many unrelated routes as asked for, each for a
// host of its own, and behind them the loaded one; without unrelated routes it takes every request. Exported are what
// the templates of configurations name.
type site struct {
	Dir         string // for files
	Port        int    // where the proxy listens, on 127.0.0.1
	Services    []service
	Connections int  // of clients, at the most
	Kept        int  // idle connections to an upstream that are kept, at the most
	Changing    bool // the configuration will be changed while it runs
	TLS         bool // clients speak it, and the certificate is in the folder
	Tickets     bool // by which clients of TLS resume sessions
	Wire        load.Wire
	Module      string // a file that has to be loaded for it, if any

	first  int // number of the first unrelated route
	count  int // of unrelated routes
	loaded int // service that the loaded route leads to
}

// Loaded is the service that the loaded route leads to.
func (s *site) Loaded() service { return s.Services[s.loaded] }

// Host is that of the loaded route; empty: any.
func (s *site) Host() string {
	if s.count == 0 {
		return ""
	}
	return loadedHost
}

// Scheme is that of URLs of the proxy.
func (s *site) Scheme() string {
	if s.TLS {
		return "https"
	}
	return "http"
}

// TCP and UDP tell that connections or datagrams are passed on as they are, and Upgrades that a request may make a
// WebSocket of its connection.
func (s *site) TCP() bool      { return s.Wire == load.Echo || s.Wire == load.Bulk }
func (s *site) UDP() bool      { return s.Wire == load.Datagrams }
func (s *site) Upgrades() bool { return s.Wire == load.WebSocket }

// Bulk tells that there is much of what is passed on.
func (s *site) Bulk() bool { return s.Wire == load.Bulk }

// Cert, Key and Both are the paths of the certificate, of its key, and of both in one file.
func (s *site) Cert() string { return s.path(certFile) }
func (s *site) Key() string  { return s.path(keyFile) }
func (s *site) Both() string { return s.path(bothFile) }

// Sockets are what a proxy needs that counts connections on both sides, and ends waiting ones when a sixteenth of them
// is left.
func (s *site) Sockets() int { return 9*s.Connections/4 + 64 }

// Names is the size of a hash table in which all hosts fit.
func (s *site) Names() int { return 4 * max(s.count, 1024) }

// change removes the oldest unrelated route and adds a new one; switching, it gives the loaded route the other service.
func (s *site) change(switching bool) {
	s.first++
	if switching {
		s.loaded = 1 - s.loaded
	}
}

// newest is the host of the route that the last change added.
func (s *site) newest() string {
	if s.count == 0 {
		return ""
	}
	return string(appendHost(nil, s.first+s.count-1))
}

func appendHost(b []byte, n int) []byte {
	b = append(b, 'h')
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, ".example.com"...)
}

// each calls fn with the number of each unrelated route.
func (s *site) each(fn func(n int)) {
	for n := s.first; n < s.first+s.count; n++ {
		fn(n)
	}
}

// hostsPerBlock is how many unrelated hosts share a block in languages that allow it. To all of them a block costs more
// than a host.
const hostsPerBlock = 100

// blocks calls begin and end around up to hostsPerBlock hosts each, with the number of the first of them.
func (s *site) blocks(b []byte, begin, between, end string) []byte {
	for n := 0; n < s.count; n += hostsPerBlock {
		b = fmt.Appendf(b, begin, n/hostsPerBlock)
		for i := n; i < min(n+hostsPerBlock, s.count); i++ {
			if i > n {
				b = append(b, between...)
			}
			b = appendHost(b, s.first+i)
		}
		b = append(b, end...)
	}
	return b
}

// path is that of a file of the proxy.
func (s *site) path(name string) string { return filepath.Join(s.Dir, name) }

// file is a file of a proxy's configuration.
type file struct {
	name string // in the proxy's folder, and of its template
	// unrelated writes the unrelated routes, which would take a template too long ten times a second. It is nil where
	// the file has none.
	unrelated func(s *site) []byte
}

// streamPrefix is what the names of templates begin with in which no request is spoken of.
const streamPrefix = "stream-"

// render is the text of a file; nil where the site has no use for it.
func (f *file) render(s *site) ([]byte, error) {
	name := f.name
	if s.TCP() || s.UDP() {
		if name = streamPrefix + name; templates.Lookup(name) == nil {
			return nil, nil
		}
	}
	data := struct {
		*site
		Unrelated string
	}{site: s}
	if f.unrelated != nil {
		data.Unrelated = string(f.unrelated(s))
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return nil, fmt.Errorf("make configuration: %w", err)
	}
	return b.Bytes(), nil
}

// write puts a file in the place of the one before, which nobody sees half written.
func (f *file) write(s *site) error {
	text, err := f.render(s)
	if err != nil || text == nil {
		return err
	}
	next := s.path(f.name + ".next")
	if err := os.WriteFile(next, text, 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.Rename(next, s.path(f.name)); err != nil {
		return fmt.Errorf("put configuration in place: %w", err)
	}
	return nil
}
