package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/internal/breath"
	"github.com/uringproxy/uringproxy/plan"
)

// Loader loads a configuration again and again. It remembers the last one without faults, file by file, and reads only
// what differs from it: a table whose text is the same, wherever it stands in its file, is the same *Route, *Service or
// *Listener in the next Config, and so is one that means the same. A load with faults leaves no trace.
//
// Its methods must not be called at the same time.
type Loader struct {
	// Breath is the rhythm of loading: nil, as at first, when nothing waits for the core.
	Breath *breath.Breath

	files  []*document
	units  [groupCount][]*unit // in the order of their names
	config *Config
}

// NewLoader makes a loader that knows nothing yet.
func NewLoader() *Loader { return &Loader{} }

// Load reads paths, each of which is a file, or a directory that stands for the files in it whose names end in ".toml"
// and do not begin with a dot. Exactly one of its results is nil.
func (l *Loader) Load(paths []string) (*Config, Faults) {
	files, faults := listFiles(paths)
	if len(faults) > 0 {
		return nil, faults
	}
	known := map[string]*document{}
	for _, d := range l.files {
		known[d.src.name] = d
	}
	sources := make([]revised, len(files))
	for i, file := range files {
		var old *source
		if d := known[file]; d != nil {
			old = d.src
		}
		var err error
		if sources[i], err = readFile(file, old, l.Breath); err != nil {
			faults = append(faults, unreadable(file, err))
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return l.load(strings.Join(paths, ", "), sources)
}

// loading is one load at work.
type loading struct {
	decoder
	last   *Loader
	next   *Loader
	files  []string
	revs   []*revision
	edits  [groupCount][]edit
	syntax []Fault // of the text itself; where there is one, nothing else is said
}

// load makes a configuration of sources.
func (l *Loader) load(name string, sources []revised) (*Config, Faults) {
	g := &loading{last: l, next: &Loader{Breath: l.Breath}}
	for _, src := range sources {
		g.files = append(g.files, src.name)
	}
	g.revise(sources)
	c, faults := g.conclude(name)
	if c != nil {
		*l = *g.next
	}
	return c, faults
}

// conclude makes a configuration of what has been revised.
func (g *loading) conclude(name string) (*Config, Faults) {
	g.source = name
	if len(g.files) == 1 {
		g.source = g.files[0]
	}
	if len(g.syntax) == 0 {
		g.merge()
		g.decode()
	}
	if len(g.syntax) > 0 {
		g.collector = collector{faults: g.syntax}
		return nil, g.finish(g.files)
	}
	c := g.compose(name)
	if len(g.faults) > 0 {
		return nil, g.finish(g.files)
	}
	g.next.config = c
	return c, nil
}

// revise compares each file with what it was.
func (g *loading) revise(sources []revised) {
	old := map[string]*document{}
	for _, d := range g.last.files {
		old[d.src.name] = d
	}
	for _, src := range sources {
		d := old[src.name]
		delete(old, src.name)
		if d != nil && d.src == src.source {
			g.next.files = append(g.next.files, d)
			continue
		}
		r, fault := revise(d, src, func(n tableName) *unit { return g.last.find(n, src.name) })
		if fault != nil {
			g.syntax = append(g.syntax, *fault)
			continue
		}
		g.revs = append(g.revs, r)
		g.next.files = append(g.next.files, r.doc)
	}
	for _, d := range old {
		g.revs = append(g.revs, gone(d))
	}
}

// find looks up a named table of a file.
func (l *Loader) find(n tableName, file string) *unit {
	units := l.units[n.group]
	if i, ok := slices.BinarySearchFunc(units, n.name, compareName); ok && units[i].file == file {
		return units[i]
	}
	return nil
}

func compareName(u *unit, name string) int { return strings.Compare(u.name, name) }

// decode turns what changed into values.
func (g *loading) decode() {
	g.listeners = &nameSet{units: g.next.units[listenersGroup]}
	g.services = &nameSet{units: g.next.units[servicesGroup]}
	for _, r := range g.revs {
		if r.doc != nil {
			g.decodeFile(r)
		}
	}
}

func (g *loading) decodeFile(r *revision) {
	if r.rest && r.doc.all == nil {
		rest, err := r.read(r.doc.locate(nil).parts())
		if err != nil {
			g.syntax = append(g.syntax, r.firstError(0))
			return
		}
		r.doc.rest = rest
	}
	for i, c := range r.changes {
		if c.unit == nil {
			continue
		}
		raw := c.raw
		if r.doc.all == nil {
			root, err := r.read(c.now)
			if err != nil {
				g.syntax = append(g.syntax, r.firstError(i))
				return
			}
			group, _ := root[groupNames[c.group]].(map[string]any)
			raw = group[c.name]
		}
		l := r.doc.all
		if l == nil {
			l = &locator{doc: r.doc, unit: c.unit, pieces: c.now}
		}
		g.in = append(g.in[:0], l)
		c.unit.value = g.value(c.tableName, raw)
		if c.old != nil && reflect.DeepEqual(c.old.value, c.unit.value) {
			c.unit.value = c.old.value
		}
	}
}

// value decodes a named table.
func (d *decoder) value(n tableName, raw any) any {
	path := n.path()
	d.name(path, n.name)
	m := d.table(path, raw, "a table with a name, ["+groupNames[n.group]+".NAME]")
	if m == nil {
		return nil
	}
	t := newTable(d, path, n.name, m)
	switch n.group {
	case listenersGroup:
		return d.listener(t)
	case routesGroup:
		return d.route(t)
	case streamsGroup:
		return d.stream(t)
	case datagramsGroup:
		return d.datagrams(t)
	}
	return d.service(t)
}

// compose makes the configuration, and checks what concerns more than one table.
func (g *loading) compose(name string) *Config {
	c := defaults()
	c.Source, c.files = name, g.next.files
	g.in = nil
	for _, d := range g.next.files {
		g.in = append(g.in, d.locate(nil))
	}
	root := g.mergeRest()
	g.settings(newTable(&g.decoder, "", "", root), c)
	g.required(root, listenersGroup, "a listener", `add [listeners.web] with address = "127.0.0.1:8080"`)
	if len(g.next.units[streamsGroup])+len(g.next.units[datagramsGroup]) == 0 {
		g.required(root, routesGroup, "a route", `add [routes.main] with service = "NAME"`)
	}
	g.required(root, servicesGroup, "a service", `add [services.main] with endpoints = ["http://127.0.0.1:3000"]`)
	if len(g.faults) == 0 {
		last := g.last.config
		if last == nil {
			last = &Config{}
		}
		c.Listeners = apply(last.Listeners, g.edits[listenersGroup], valueOf[Listener])
		c.Routes = apply(last.Routes, g.edits[routesGroup], valueOf[Route])
		c.Streams = apply(last.Streams, g.edits[streamsGroup], valueOf[StreamRoute])
		c.Datagrams = apply(last.Datagrams, g.edits[datagramsGroup], valueOf[StreamRoute])
		c.Services = apply(last.Services, g.edits[servicesGroup], valueOf[Service])
	}
	g.sameAddress()
	g.lostNames()
	g.agree()
	return c
}

func valueOf[T any](u *unit) *T { return u.value.(*T) }

// required notes that a group has no tables at all.
func (g *loading) required(root map[string]any, in group, expected, hint string) {
	key := groupNames[in]
	_, isTable := root[key].(map[string]any)
	if len(g.next.units[in]) == 0 && (root[key] == nil || isTable) {
		g.atKey(key, "no "+expected[len("a "):], expected, hint)
	}
}

// lost tells whether a name of a group is there no more.
func (g *loading) lost(in group, names *nameSet) bool {
	return slices.ContainsFunc(g.edits[in], func(e edit) bool {
		return e.drop && !names.has(g.last.units[in][e.at].name)
	})
}

// locate says where the keys of u are.
func (l *Loader) locate(u *unit) *locator {
	i := slices.IndexFunc(l.files, func(d *document) bool { return d.src.name == u.file })
	return l.files[i].locate(u)
}

// sameAddress finds listeners that would take each other's connections: the kernel lets them share a port.
func (g *loading) sameAddress() {
	type key struct {
		addr netip.AddrPort
		unix string
		udp  bool // which has ports of its own
	}
	taken := map[key]string{}
	for _, u := range g.next.units[listenersGroup] {
		l, _ := u.value.(*Listener)
		if l == nil || !l.Addr.IsValid() && l.Unix == "" {
			continue
		}
		k := key{l.Addr, l.Unix, l.Protocol == plan.UDP}
		if l.Addr.Addr().IsUnspecified() {
			k.addr = netip.AddrPortFrom(netip.IPv6Unspecified(), l.Addr.Port())
		}
		if other, ok := taken[k]; ok && other != l.Name { // a name of two files is a fault already
			g.in = append(g.in[:0], g.next.locate(u))
			g.at(child(u.path(), "address"), fmt.Sprintf("the address of listener %s", strconv.Quote(other)),
				"an address of its own", "")
			continue
		}
		taken[k] = l.Name
	}
}
