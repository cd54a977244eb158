package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// Options say what Check may look at beside the configuration.
type Options struct {
	Machine  Machine
	Resolver Resolver // nil: names are not looked up
	// Store reads the files that TLS is made of; nil: they are not looked at.
	Store *certs.Store
	// Now is when certificates have to be valid.
	Now time.Time
}

// maxFindings bounds how many findings of a severity are listed.
const maxFindings = 1000

// Check looks for what is wrong with a configuration that config accepts. Names are looked up within a few seconds, or
// until ctx ends.
func Check(ctx context.Context, c *config.Config, o Options) *Result {
	k := &checker{config: c}
	k.routes()
	k.services()
	k.listeners(&o.Machine)
	k.streams()
	k.upgrades()
	k.circles()
	k.security()
	if o.Store != nil {
		k.material(o.Store, o.Now)
	}
	if o.Resolver != nil {
		k.names(ctx, o.Resolver)
	}
	r := &Result{Faults: k.list(Fault), Warnings: k.list(Warning), Counts: Counts{
		Listeners: len(c.Listeners), Routes: len(c.Routes), Services: len(c.Services),
		TCPRoutes: len(c.Streams), UDPRoutes: len(c.Datagrams),
		Faults: k.count(Fault), Warnings: k.count(Warning),
	}}
	for _, s := range c.Services {
		r.Counts.Endpoints += len(s.Endpoints)
	}
	r.OK = r.Counts.Faults == 0
	return r
}

// checker is one check at work.
type checker struct {
	config *config.Config
	notes  []note

	expressions []expression // of all routes
}

// note is a finding whose place is not known yet: looking places up costs a walk over the file.
type note struct {
	severity          Severity
	code              string
	table             string   // its path
	keys              []string // of the table: the first that is there is the place
	message, expected string
	hint              string
	by                []string
	late              func() string // more of the message, when it is costly
}

// warn notes a warning about a table, or one of its keys.
func (k *checker) warn(code, table, hint, message string, keys ...string) *note {
	k.notes = append(k.notes, note{
		severity: Warning, code: code, table: table, keys: keys, message: message, hint: hint,
	})
	return &k.notes[len(k.notes)-1]
}

func (k *checker) count(s Severity) (n int) {
	for i := range k.notes {
		if k.notes[i].severity == s {
			n++
		}
	}
	return n
}

// list makes findings of the first notes of a severity, in the order of files.
func (k *checker) list(s Severity) []Finding {
	list := []Finding{}
	for i := range k.notes {
		n := &k.notes[i]
		if n.severity != s || len(list) == maxFindings {
			continue
		}
		f := found(s, n.code, k.locate(n))
		f.By = n.by
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
	return list
}

// locate looks up where a note belongs.
func (k *checker) locate(n *note) config.Fault {
	if n.late != nil {
		n.message += n.late()
	}
	whole := k.config.Fault(n.table, n.message, n.expected, n.hint)
	for _, key := range n.keys {
		f := k.config.Fault(n.table+"."+key, n.message, n.expected, n.hint)
		if f.File == whole.File && (f.Line != whole.Line || f.Column != whole.Column) {
			return f
		}
	}
	return whole
}

// routes looks at the routes of each kind, each alone and all of a table together.
func (k *checker) routes() {
	k.table(routing.NewBuilder(), newCrowd(k.only((*config.Listener).Requests), k.config.Routes, ofRequests))
	k.streamTable(k.config.Streams, ofConnections)
	k.streamTable(k.config.Datagrams, ofDatagrams)
	k.regexps()
}

// streamTable looks at tcp or udp routes. What listeners one is for that names none depends on it, so here it names
// them.
func (k *checker) streamTable(streams []*config.StreamRoute, of family) {
	if len(streams) == 0 {
		return
	}
	routes := make([]*config.Route, len(streams))
	reached := map[*config.Listener]bool{}
	for i, r := range streams {
		routes[i] = &config.Route{Name: r.Name, Rule: r.Rule, Priority: r.Priority, Service: r.Service}
		for _, l := range k.config.Listeners {
			if r.For(l) {
				routes[i].Listeners, reached[l] = append(routes[i].Listeners, l.Name), true
			}
		}
	}
	listeners := k.only(func(l *config.Listener) bool { return reached[l] })
	k.table(routing.NewStreamBuilder(), newCrowd(listeners, routes, of))
}

// only are the listeners that have a property.
func (k *checker) only(property func(*config.Listener) bool) (list []*config.Listener) {
	for _, l := range k.config.Listeners {
		if property(l) {
			list = append(list, l)
		}
	}
	return list
}

// table looks at the routes of one table.
func (k *checker) table(b *routing.Builder, x *crowd) {
	compiles := true
	for i, r := range x.routes {
		err := b.Set(routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule, Target: i})
		if err != nil {
			k.refuse(x, r, err)
			compiles = false
			continue
		}
		k.route(x, r)
	}
	if _, err := b.Build(); err != nil && compiles {
		k.notes = append(k.notes, note{severity: Fault, code: Invalid, table: x.table, message: err.Error()})
	}
	if compiles {
		k.shadows(x)
	}
}

// refuse notes a route that cannot be compiled, so that a process would refuse it.
func (k *checker) refuse(x *crowd, r *config.Route, err error) {
	k.notes = append(k.notes, note{
		severity: Fault, code: Invalid, table: config.Path(x.table, r.Name), keys: []string{"rule"},
		message: "a rule that cannot be compiled", expected: "a smaller one", hint: err.Error(),
	})
}

func (k *checker) services() {
	used := map[string]bool{}
	for _, r := range k.config.Routes {
		used[r.Service] = true
	}
	for _, r := range slices.Concat(k.config.Streams, k.config.Datagrams) {
		used[r.Service] = true
	}
	for _, s := range k.config.Services {
		if !used[s.Name] {
			k.warn(UnusedService, config.Path("services", s.Name), "name it in a route, or take it out",
				"a service that no route uses")
		}
	}
}

func (k *checker) listeners(m *Machine) {
	reached := k.reached()
	for _, l := range k.config.Listeners {
		if !reached(l) && (l.Redirect == nil || l.TLS != nil) && !k.streamed(l) {
			what := map[plan.Protocol]string{
				plan.HTTP: "route is for: it answers every request with 404",
				plan.TCP:  "tcp route is for: it closes every connection",
				plan.UDP:  "udp route is for: it drops every datagram",
				plan.Auto: "route and no tcp route is for: it has no use for any connection",
			}[l.Protocol]
			k.warn(IdleListener, config.Path("listeners", l.Name), "name it in a route, or take it out",
				"a listener that no "+what)
		}
		k.listener(l)
		if port := int(l.Addr.Port()); l.Unix == "" && port > 0 && port < m.FirstPort {
			k.warn(PrivilegedPort, config.Path("listeners", l.Name),
				"run as root, with CAP_NET_BIND_SERVICE, or with a lower net.ipv4.ip_unprivileged_port_start",
				fmt.Sprintf("port %d, but this user may only listen on ports from %d on", port, m.FirstPort), "address")
		}
	}
}

// reached tells which listeners a route for requests is for.
func (k *checker) reached() func(*config.Listener) bool {
	named := map[string]bool{}
	for _, r := range k.config.Routes {
		if len(r.Listeners) == 0 {
			return (*config.Listener).Requests
		}
		for _, l := range r.Listeners {
			named[l] = true
		}
	}
	return func(l *config.Listener) bool { return named[l.Name] }
}
