package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// site is a configuration of several files that changes at random: its tables by their headers, each in a file.
type site struct {
	rnd    *rand.Rand
	dir    string
	tables map[string]table
}

type table struct {
	file int
	body string
}

const siteFiles = 3

func (s *site) pick(from ...string) string { return from[s.rnd.IntN(len(from))] }

// body makes up what a table says.
func (s *site) body(header string) string {
	switch group, _, _ := strings.Cut(header, "."); group {
	case "listeners":
		n := header[len(header)-1:]
		if kind := header[len("listeners.")]; kind != 'l' {
			return s.streamListener(kind, n)
		}
		b := "address = \"" + s.pick("127.0.0.1:1", "127.0.0.1:2"+n, "[::1]:1"+n, "unix:/run/"+n, "unix:@"+n) + "\"\n"
		if s.rnd.IntN(3) == 0 {
			b += "trusted_proxies = [\"10.0.0.0/8\"]\n"
		}
		if s.rnd.IntN(6) == 0 {
			b += "protocol = \"auto\"\n"
		}
		return b
	case "services":
		if kind := header[len("services.")]; kind != 's' {
			return s.streamService(kind)
		}
		return "endpoints = [\"" + s.pick("http://10.0.0.1:80", "http://one.test", "http://two.test:81") + "\", " +
			s.pick(`"http://10.0.0.2:80"`, `{ url = "unix:/run/app", weight = 3 }`, `"http://one.test:80"`) + "]\n"
	case "limits":
		return fmt.Sprintf("header_count = %d\n", 50+s.rnd.IntN(3))
	case "tcp_routes", "udp_routes":
		return s.streamRoute(group)
	}
	b := fmt.Sprintf("service = \"s%d\"\n", s.rnd.IntN(4))
	if s.rnd.IntN(2) == 0 {
		b += s.pick("listeners = [\"l0\"]\n", "listeners = [\"l1\", \"l2\"]\n", "listeners = [\"l2\", \"l0\"]\n")
	}
	if s.rnd.IntN(4) == 0 {
		b += fmt.Sprintf("priority = %d\n", s.rnd.IntN(3)-1)
	}
	if s.rnd.IntN(6) == 0 {
		b += s.pick("upgrades = []\n", "upgrades = [\"websocket\", \"irc\"]\n", "connect = true\n")
	}
	if s.rnd.IntN(6) == 0 {
		return b
	}
	return b + "rule = '" + s.pick(
		"Host(`a.test`)", "Host(`*.a.test`)", "Host(`**.a.test`)", "HostRegexp(`^[a-c]\\.`)", "!Host(`a.test`)",
		"PathPrefix(`/x`)", "Host(`a.test`) && PathPrefix(`/x`)", "Path(`/x/y`) || Host(`b.a.test`)",
		"PathRegexp(`/x/.*`)", "PathPrefixRaw(`/x/`)", "Header(`A`, `1`)", "HeaderRegexp(`A`, `^[12]`)", "!Header(`A`)",
		"Query(`q`)", "Query(`q`, `1`, `2`)", "QueryRegexp(`q`, `2`)", "ClientIP(`10.0.0.0/8`)",
		"Method(`PUT`)", "Header(`A`, `1`) && Method(`GET`)", "Host(`a.test`) && !Path(`/x`)",
	) + "'\n"
}

// streamListener is one for connections, of kind c, or for datagrams, of kind d.
func (s *site) streamListener(kind byte, n string) string {
	b := "address = \"" + s.pick("127.0.0.1:3"+n, "127.0.0.1:4"+n, "[::1]:3"+n) + "\"\n"
	if kind == 'd' {
		return b + "protocol = \"udp\"\n"
	}
	if s.rnd.IntN(3) == 0 {
		b += "proxy_protocol = [\"10.0.0.0/8\", \"::1\"]\n"
	}
	return b + "protocol = \"" + s.pick("tcp", "tcp", "auto") + "\"\n"
}

func (s *site) streamService(kind byte) string {
	if kind == 'd' {
		return "endpoints = [\"udp://10.0.0.1:" + s.pick("80", "53") + "\"]\n" +
			s.pick("", "balance = \"round_robin\"\n", "balance = \"client_ip\"\n")
	}
	return "endpoints = [\"" + s.pick("tcp://10.0.0.1:80", "tcp://two.test:5432") + "\"]\n" +
		s.pick("", "balance = \"client_ip\"\n", "proxy_protocol = \"v1\"\n", "proxy_protocol = \"v2\"\n")
}

func (s *site) streamRoute(group string) string {
	kind := "c"
	rules := []string{"SNI(`a.test`)", "!SNI(`a.test`)", "DestinationPort(`30-39`)", "ClientIP(`10.0.0.0/8`)"}
	if group == "udp_routes" {
		kind, rules = "d", rules[2:]
	}
	b := fmt.Sprintf("service = %q\n", fmt.Sprint(kind, s.rnd.IntN(2)))
	if s.rnd.IntN(3) == 0 {
		b += fmt.Sprintf("listeners = [%q]\n", fmt.Sprint(kind, s.rnd.IntN(2)))
	}
	b += s.pick("", "", "max_connections = 5\n", "connection_rate = 7\n", "priority = 1\n")
	if s.rnd.IntN(3) == 0 {
		return b
	}
	return b + "rule = '" + s.pick(rules...) + "'\n"
}

// change adds, changes, moves, renames and removes tables.
func (s *site) change() {
	for range 1 + s.rnd.IntN(4) {
		header := s.pick("listeners.l", "services.s", "routes.r", "routes.r", "routes.r", "routes.r", "routes.r",
			"listeners.c", "listeners.d", "services.c", "services.d", "tcp_routes.s", "tcp_routes.s", "udp_routes.s")
		n := map[string]int{"listeners.l": 3, "services.s": 4, "routes.r": 40, "tcp_routes.s": 4, "udp_routes.s": 4}
		header = fmt.Sprint(header, s.rnd.IntN(max(n[header], 2)))
		if s.rnd.IntN(20) == 0 {
			header = "limits"
		}
		t, there := s.tables[header]
		switch action := s.rnd.IntN(8); {
		case !there || action < 4:
			s.tables[header] = table{s.rnd.IntN(siteFiles), s.body(header)}
		case action < 6:
			t.file = s.rnd.IntN(siteFiles)
			s.tables[header] = t
		case strings.Contains(header, "routes.") || s.rnd.IntN(4) == 0:
			delete(s.tables, header)
		}
	}
}

// write writes the files, with the tables in any order. Now and then something is wrong with them.
func (s *site) write(t *testing.T) {
	t.Helper()
	var files [siteFiles]strings.Builder
	headers := slices.Sorted(maps.Keys(s.tables))
	s.rnd.Shuffle(len(headers), func(i, j int) { headers[i], headers[j] = headers[j], headers[i] })
	for _, header := range headers {
		e := s.tables[header]
		text := "[" + header + "]\n" + e.body + strings.Repeat("\n", s.rnd.IntN(2))
		files[e.file].WriteString(text)
		if s.rnd.IntN(400) == 0 {
			files[s.rnd.IntN(siteFiles)].WriteString(text) // twice
		}
	}
	if s.rnd.IntN(12) == 0 {
		bad := s.pick("[routes.r1", "[limits]\nheader_count = 0\n", "[routes.z]\nhost = 1\n")
		files[s.rnd.IntN(siteFiles)].WriteString(bad)
	}
	for i := range files {
		path := filepath.Join(s.dir, fmt.Sprint(i, ".toml"))
		var err error
		if i == 1 && files[i].Len() == 0 {
			err = os.RemoveAll(path)
		} else {
			err = os.WriteFile(path, []byte(files[i].String()), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fixed resolves the names that it has.
type fixed map[string][]netip.Addr

func (f fixed) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if len(f[host]) == 0 {
		return nil, errors.New("server failure")
	}
	return f[host], nil
}

// fresh is what a process that starts now makes of the files.
func fresh(t *testing.T, dir string, names fixed) (*plan.Snapshot, error) {
	m := New(Options{Paths: []string{dir}, Resolver: names, Log: slog.New(slog.DiscardHandler)})
	_, snap, err := m.Start(t.Context())
	return snap, err
}

// questions are requests that tell the rules of sites apart.
func questions() (all []*routing.Request) {
	for _, host := range []string{"", "a.test", "b.a.test", "c.b.a.test", "d.test"} {
		for _, path := range []string{"/", "/x", "/x/y", "/xy"} {
			for i := range 6 {
				r := &routing.Request{Host: []byte(host), Path: []byte(path), Method: []byte("GET")}
				switch i {
				case 1:
					r.Fields = []routing.Field{{Name: []byte("a"), Value: []byte("1")}}
				case 2:
					r.Fields = []routing.Field{{Name: []byte("A"), Value: []byte("2")}}
				case 3:
					r.Query = []byte("p=&q=%32")
				case 4:
					r.Client = netip.MustParseAddr("10.1.2.3")
				case 5:
					r.Method = []byte("PUT")
				}
				all = append(all, r)
			}
		}
	}
	return all
}

// meaning is what a snapshot makes of the world, without its numbers: a line for each setting, service and answer.
func meaning(s *plan.Snapshot, ask []*routing.Request) []string {
	all := []string{fmt.Sprint(s.Limits, s.Timeouts, s.Paths, s.Forward, s.AccessLog)}
	for _, v := range s.Services {
		line := fmt.Sprint("service ", v.Name, v.Cycle, v.Stream, v.Datagrams, v.ByClient, v.Proxy)
		for _, e := range v.Endpoints {
			line += fmt.Sprint(" ", e.Name, e.Addr, e.Unix)
		}
		all = append(all, line)
	}
	for _, l := range s.Listeners {
		if l.Vacant() {
			continue
		}
		where := fmt.Sprint("listener ", l.Addr, l.Unix, l.Protocol)
		all = append(all, fmt.Sprint(where, " ", l.Name, l.Trusted, l.Proxied, l.Table.Needs()))
		all = append(all, streamed(s, &l, where)...)
		for i, r := range ask {
			to := "nowhere"
			if at := l.Table.Match(r); at >= 0 {
				to = s.Routes[at].Name + " " + s.Services[s.Routes[at].Service].Name
				to += fmt.Sprint(" ", s.Routes[at].Upgrades, s.Routes[at].Connect)
			}
			all = append(all, fmt.Sprintf("%s question %d %s", where, i, to))
		}
	}
	slices.Sort(all)
	return all
}

// streamed is what a snapshot makes of connections, or of datagrams, on a listener.
func streamed(s *plan.Snapshot, l *plan.Listener, where string) (all []string) {
	if l.Streams == nil {
		return []string{where + " without streams"}
	}
	for i, r := range []*routing.Request{
		{Port: 30}, {Port: 40}, {Client: netip.MustParseAddr("10.1.2.3")},
		{Port: 30, TLS: &routing.Hello{SNI: []byte("a.test")}}, {TLS: &routing.Hello{SNI: []byte("b.test")}},
	} {
		to := plan.Stream{Name: "nowhere"}
		if at := l.Streams.MatchHello(r); at >= 0 {
			to = s.Streams[at]
			to.Name += " " + s.Services[to.Service].Name
		}
		to.ID, to.Service, to.Series = 0, 0, 0
		all = append(all, fmt.Sprintf("%s stream %d %+v", where, i, to))
	}
	return all
}

// routed is meaning without the services, which is what other addresses of a name leave as it is.
func routed(s *plan.Snapshot, ask []*routing.Request) []string {
	return slices.DeleteFunc(meaning(s, ask), func(line string) bool { return strings.HasPrefix(line, "service ") })
}

// numbers checks that an ID never changes its owner.
type numbers map[string]string

func (n numbers) check(t *testing.T, s *plan.Snapshot) {
	t.Helper()
	is := func(kind string, id any, owner string) {
		for _, kv := range [][2]string{{fmt.Sprint(kind, id), owner}, {kind + " " + owner, fmt.Sprint(id)}} {
			if before, ok := n[kv[0]]; ok && before != kv[1] {
				t.Fatalf("%s was %s and is %s", kv[0], before, kv[1])
			}
			n[kv[0]] = kv[1]
		}
	}
	for i, l := range s.Listeners {
		is("listener", i, fmt.Sprint(l.Addr, l.Unix, l.Protocol == plan.UDP))
	}
	for _, v := range s.Services {
		is("service", v.ID, v.Name)
		for _, e := range v.Endpoints {
			is("endpoint", e.ID, fmt.Sprint(e.Addr, e.Unix, v.Datagrams))
		}
	}
	for _, v := range s.Streams {
		if v.Name == "" {
			continue
		}
		kind := fmt.Sprint("stream of datagrams ", s.Services[v.Service].Datagrams)
		is("stream", v.ID, kind+v.Name)
		is(kind, v.Series, v.Name)
	}
}

// TestAnySeriesOfReloads: whatever came before, faults and refusals included, what a reload puts in force is what a
// process that starts with the same files would run, and what it refuses that process would refuse in the same words.
func TestAnySeriesOfReloads(t *testing.T) {
	steps := 250
	if testing.Short() {
		steps = 60
	}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { series(t, seed, steps) })
	}
}

func series(t *testing.T, seed uint64, steps int) {
	r := newRig(t)
	s := &site{rand.New(rand.NewPCG(seed, 1)), t.TempDir(), map[string]table{}}
	r.m.opts.Paths, r.m.opts.Log = []string{s.dir}, slog.New(slog.DiscardHandler)
	r.hosts["one.test"], r.hosts["two.test"] = "10.1.0.1", "10.2.0.1 10.2.0.2"
	for i := range 3 {
		s.tables[fmt.Sprint("listeners.l", i)] = table{0, fmt.Sprintf("address = \"127.0.0.1:%d\"\n", i+1)}
	}
	for i := range 4 {
		s.tables[fmt.Sprint("services.s", i)] = table{0, "endpoints = [\"http://one.test\"]\n"}
		s.tables[fmt.Sprint("routes.r", i)] = table{0, fmt.Sprintf("service = \"s%d\"\n", i)}
	}
	for i := range 2 {
		for kind, scheme := range map[string]string{"c": "tcp", "d": "udp"} {
			s.tables[fmt.Sprint("listeners.", kind, i)] = table{
				0, fmt.Sprintf("address = \"127.0.0.1:3%d\"\nprotocol = %q\n", i, scheme),
			}
			s.tables[fmt.Sprint("services.", kind, i)] = table{0, "endpoints = [\"" + scheme + "://10.0.0.1:80\"]\n"}
			s.tables[scheme+"_routes.s0"] = table{0, fmt.Sprintf("service = %q\n", kind+"0")}
		}
	}
	s.tables["limits"] = table{1, ""}
	s.write(t)
	for !start(t, r) {
		s.write(t)
	}
	ask := questions()
	ids, good, bad := numbers{}, 0, 0
	type published struct {
		snap *plan.Snapshot
		said []string
	}
	var past []published
	repaired := maps.Clone(s.tables)
	for step := range steps {
		s.change()
		s.write(t)
		for _, host := range []string{"one.test", "two.test"} {
			if s.rnd.IntN(6) == 0 {
				r.hosts[host] = s.pick("10.1.0.1", "10.2.0.1 10.2.0.2", "10.3.0.1 10.1.0.1", "")
			}
		}
		if s.rnd.IntN(4) == 0 {
			last := r.m.Status().Snapshot
			r.m.Refresh(t.Context())
			same(t, step, routed(r.m.Status().Snapshot, ask), routed(last, ask))
		}
		names := fixed{}
		for host := range r.hosts {
			names[host], _ = r.LookupNetIP(t.Context(), "ip", host)
			if names[host] == nil {
				names[host] = r.m.world.names[host]
			}
		}
		r.prepare = nil
		if s.rnd.IntN(8) == 0 {
			r.prepare = func() error { return &ListenError{"l0", errors.New("taken")} }
			if s.rnd.IntN(2) == 0 {
				r.prepare = func() error { panic("a fault of ours") }
			}
		}
		before := len(r.published)
		a := r.m.Reload(t.Context(), BySignal)
		want, err := fresh(t, s.dir, names)
		switch {
		case err != nil:
			bad++
			if s.rnd.IntN(3) > 0 {
				s.tables = maps.Clone(repaired)
			}
			if a.Err == nil || a.Err.Error() != err.Error() || len(r.published) != before {
				t.Fatalf("step %d: refused with %v\nwant %v", step, a.Err, err)
			}
		case r.prepare != nil:
			if a.Err == nil || len(r.published) != before {
				t.Fatalf("step %d: published what cannot be listened on", step)
			}
		default:
			good++
			repaired = maps.Clone(s.tables)
			if a.Err != nil || len(r.published) != before+1 {
				t.Fatalf("step %d: %v", step, a.Err)
			}
			snap := r.published[before]
			same(t, step, meaning(snap, ask), meaning(want, ask))
			past = append(past[max(0, len(past)-3):], published{snap, meaning(snap, ask)})
		}
		for _, snap := range r.published {
			ids.check(t, snap)
		}
		for _, p := range past {
			same(t, step, meaning(p.snap, ask), p.said)
		}
		r.published = r.published[max(0, len(r.published)-2):]
	}
	t.Logf("%d reloads as fresh ones, %d refused as fresh ones", good, bad)
	if good < steps/5 || bad < steps/20 {
		t.Error("the test has become one-sided")
	}
}

// start starts the manager, unless the files happen to be faulty.
func start(t *testing.T, r *rig) bool {
	_, _, err := r.m.Start(t.Context())
	return err == nil
}

func same(t *testing.T, step int, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("step %d: got %q\nwant %q", step, got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
}
