package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// Report says what becomes of a request, and why.
type Report struct {
	Request  Request  `json:"request"`
	Listener Listener `json:"listener"`
	Notes    []string `json:"notes,omitempty"`
	// Status is what the proxy answers by itself, and Reason why; 0 if the request is forwarded.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`

	Winner  *Verdict `json:"winner,omitempty"`
	Forward *Forward `json:"forward,omitempty"`
	// Later are the routes that fit too, in the order in which they would come; Misses those that do not, the nearest
	// first.
	Later  []Verdict `json:"later"`
	Misses []Verdict `json:"misses"`
	// Omitted are those that are neither.
	Omitted []Omitted `json:"omitted,omitempty"`
}

// Request is the request as rules see it.
type Request struct {
	Method string `json:"method"`
	Host   string `json:"host,omitempty"` // without port
	Path   string `json:"path,omitempty"`
	Query  string `json:"query,omitempty"`
	Client string `json:"client,omitempty"`
	// HostReceived and PathReceived are host and path as they came, if they were others.
	HostReceived string `json:"host_received,omitempty"`
	PathReceived string `json:"path_received,omitempty"`
}

// Listener is where the request comes in.
type Listener struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Verdict is what becomes of one route.
type Verdict struct {
	Route    string `json:"route"`
	Rule     string `json:"rule"`
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Priority int    `json:"priority"`
	// Alternative is the part of the rule that fits, or that comes nearest.
	Alternative string `json:"alternative,omitempty"`
	// Order says where the alternative stands: priority, host, path, number of further conditions.
	Order string `json:"order,omitempty"`
	// By is what decided: for routes that fit "priority", "host", "path", "conditions" or "name"; for others "host",
	// "path" and "condition" are the first that does not fit, "never" that none could, "listener" that the route is for
	// others.
	By string `json:"by,omitempty"`
	// Because says it in words; Missed is the condition that does not fit.
	Because string `json:"because,omitempty"`
	Missed  string `json:"missed,omitempty"`
}

// Forward is what happens to a request that has a route.
type Forward struct {
	Service   string     `json:"service"`
	Path      string     `json:"path"` // with the query
	Balance   string     `json:"balance"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is where a request may go.
type Endpoint struct {
	URL    string `json:"url"`
	Weight int    `json:"weight"`
}

// Omitted counts routes that are not told one by one.
type Omitted struct {
	Count int    `json:"count"`
	By    string `json:"by"` // as Verdict.By
}

// nearest is how many routes that do not fit are told.
const nearest = 20

// Explain says what becomes of a request. The error says what is wrong with the question.
func Explain(c *config.Config, q *Question) (*Report, error) {
	a, err := ask(c, q)
	if err != nil {
		return nil, err
	}
	l, err := listenerOf(c, q, a)
	if err != nil {
		return nil, err
	}
	for _, name := range q.Routes {
		if routeNamed(c, name) == nil {
			return nil, fmt.Errorf("find route: there is none named %q", name)
		}
	}
	e := &explainer{config: c, asked: a, question: q, listener: l}
	e.describe()
	switch {
	case string(a.Method) == "CONNECT":
		e.report.Status, e.report.Reason = 405, "CONNECT is not for a reverse proxy"
		return &e.report, nil
	case a.refused != urlpath.OK:
		e.report.Status, e.report.Reason = 400, a.refused.String()
		return &e.report, nil
	}
	return &e.report, e.decide()
}

// listenerOf finds the listener that a question is about.
func listenerOf(c *config.Config, q *Question, a *asked) (*config.Listener, error) {
	var names []string
	for _, l := range c.Listeners {
		if names = append(names, l.Name); l.Name == q.Listener {
			return l, nil
		}
	}
	if q.Listener != "" {
		return nil, fmt.Errorf("find listener: there is none named %q, but %s", q.Listener, strings.Join(names, ", "))
	}
	port := a.port
	if port == 0 {
		port = map[string]int{"http": 80, "https": 443}[a.scheme]
	}
	var fit []*config.Listener
	for _, l := range c.Listeners {
		if l.Unix == "" && int(l.Addr.Port()) == port {
			fit = append(fit, l)
		}
	}
	named := slices.ContainsFunc(c.Routes, func(r *config.Route) bool { return len(r.Listeners) > 0 })
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(c.Listeners) == 1 || !named: // they all have the same routes
		return c.Listeners[0], nil
	}
	return nil, fmt.Errorf("find listener: the URL does not tell which; say --listener and one of %s",
		strings.Join(names, ", "))
}

func routeNamed(c *config.Config, name string) *config.Route {
	i, ok := slices.BinarySearchFunc(c.Routes, name, func(r *config.Route, n string) int {
		return strings.Compare(r.Name, n)
	})
	if !ok {
		return nil
	}
	return c.Routes[i]
}

// explainer is one explanation at work.
type explainer struct {
	config   *config.Config
	asked    *asked
	question *Question
	listener *config.Listener
	report   Report

	here   []routing.Route // of the listener; their targets are indexes in config.Routes
	fits   []routing.Judgement
	misses []miss
	others int // routes for other listeners
}

// miss is a route that does not fit, and how near it comes.
type miss struct {
	index  int // in explainer.here
	stage  int // how many conditions it met
	near   int // how much of the host or path is right
	spec   uint64
	reason string
}

// describe fills in what is known before any route is asked.
func (e *explainer) describe() {
	a, r := e.asked, &e.report
	r.Request = Request{Method: string(a.Method), Host: a.name, Path: string(a.Path), Query: string(a.Query)}
	if a.written != a.name {
		r.Request.HostReceived = a.written
	}
	if a.received != r.Request.Path {
		r.Request.PathReceived = a.received
	}
	if a.Client.IsValid() {
		r.Request.Client = a.Client.String()
	}
	r.Listener = Listener{e.listener.Name, e.listener.Unix}
	if e.listener.Unix == "" {
		r.Listener.Address = e.listener.Addr.String()
	} else {
		r.Listener.Address = "unix:" + e.listener.Unix
	}
	switch {
	case a.TLS != nil:
		a.note("listener %s speaks no TLS: this is what it would do if it did", e.listener.Name)
	case a.scheme == "https":
		a.note("listener %s speaks no TLS: a client gets no answer to https, and this is for http", e.listener.Name)
	}
	if len(a.Host) == 0 {
		a.note("there is no host: a client of HTTP/1.1 always sends one")
	}
	r.Notes = a.notes
	r.Later, r.Misses = []Verdict{}, []Verdict{}
}

// isHere reports whether a route is for the listener.
func (e *explainer) isHere(r *config.Route) bool {
	return len(r.Listeners) == 0 || slices.Contains(r.Listeners, e.listener.Name)
}

// decide asks the tables for the winner, and each rule for the reasons.
func (e *explainer) decide() error {
	for i, r := range e.config.Routes {
		if e.isHere(r) {
			e.here = append(e.here, routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule, Target: i})
		}
	}
	e.others = len(e.config.Routes) - len(e.here)
	table, err := routing.Compile(e.here)
	if err != nil {
		return err
	}
	winner := table.Match(&e.asked.Request)
	for i := range e.here {
		j, err := routing.Judge(e.here[i], &e.asked.Request)
		if err != nil {
			return err
		}
		if j.Fits {
			e.fits = append(e.fits, j)
		} else {
			e.misses = append(e.misses, e.miss(i, &j))
		}
	}
	slices.SortFunc(e.fits, func(a, b routing.Judgement) int {
		if before, _ := a.Before(&b); before {
			return -1
		}
		return 1
	})
	best := -1
	if len(e.fits) > 0 {
		best = e.fits[0].Route.Target
	}
	if best != winner {
		return errors.New("explain request: the tables and the rules disagree, which is a bug of uringproxy: " +
			"please report the configuration and the request")
	}
	e.tell()
	return nil
}

// tell fills in what was found out.
func (e *explainer) tell() {
	r := &e.report
	if len(e.fits) == 0 {
		r.Status, r.Reason = 404, "no route fits"
	} else {
		w := e.verdict(&e.fits[0])
		r.Winner = &w
		r.Forward = e.forward(e.config.Routes[e.fits[0].Route.Target])
	}
	for i := range e.fits {
		if i == 0 {
			continue
		}
		v := e.verdict(&e.fits[i])
		_, by := e.fits[0].Before(&e.fits[i])
		v.By, v.Because = edgeName(by), decision(&e.fits[0], &e.fits[i], by)
		if e.wanted(v.Route, i-1) {
			r.Later = append(r.Later, v)
		} else {
			e.omit(byLater, 1)
		}
	}
	slices.SortStableFunc(e.misses, func(a, b miss) int {
		return cmp.Or(b.stage-a.stage, b.near-a.near, cmp.Compare(b.spec, a.spec))
	})
	for i, m := range e.misses {
		if !e.wanted(e.here[m.index].Name, i) {
			e.omit(m.reason, 1)
			continue
		}
		if j, err := routing.Judge(e.here[m.index], &e.asked.Request); err == nil {
			r.Misses = append(r.Misses, e.missed(&j, m.reason))
		}
	}
	e.elsewhere()
}

// wanted reports whether a route is told, which is the nth of its list.
func (e *explainer) wanted(name string, nth int) bool {
	if len(e.question.Routes) > 0 {
		return slices.Contains(e.question.Routes, name)
	}
	return e.question.All || nth < nearest
}

func (e *explainer) omit(by string, n int) {
	if n == 0 {
		return
	}
	i := slices.IndexFunc(e.report.Omitted, func(o Omitted) bool { return o.By == by })
	if i < 0 {
		i = len(e.report.Omitted)
		e.report.Omitted = append(e.report.Omitted, Omitted{By: by})
	}
	e.report.Omitted[i].Count += n
}

// elsewhere tells of routes for other listeners.
func (e *explainer) elsewhere() {
	told := 0
	for _, r := range e.config.Routes {
		if e.isHere(r) || !slices.Contains(e.question.Routes, r.Name) {
			continue
		}
		v := e.verdict(&routing.Judgement{Route: routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule}})
		v.Alternative, v.Order = "", ""
		v.By, v.Because = elsewhere, "it is for "+strings.Join(r.Listeners, ", ")
		e.report.Misses = append(e.report.Misses, v)
		told++
	}
	e.omit(elsewhere, e.others-told)
}

// verdict is what there is to say of a route in any case.
func (e *explainer) verdict(j *routing.Judgement) Verdict {
	f := e.config.Fault(config.Path("routes", j.Route.Name), "", "", "")
	whole, part := j.Route.Rule, j.Alternative
	if e.question.Masked {
		whole, part = whole.Masked(), part.Masked()
	}
	v := Verdict{
		Route: j.Route.Name, Rule: whole.String(), File: f.File, Line: f.Line, Column: f.Column,
		Priority: j.Route.Priority,
	}
	if j.Route.Rule == nil {
		v.Rule = ""
	}
	if j.Alternative.Host.Kind != rule.None || j.Alternative.Path.Kind != rule.None || len(j.Alternative.Tests) > 0 {
		v.Alternative = part.String()
	}
	v.Order = fmt.Sprintf("priority: %d; host: %s; path: %s; further conditions: %d", j.Route.Priority,
		hostWords(&j.Alternative.Host), pathWords(&j.Alternative.Path), len(j.Alternative.Tests))
	return v
}

// forward says where a request goes.
func (e *explainer) forward(r *config.Route) *Forward {
	path := e.report.Request.Path
	if e.config.Paths.ForwardReceived {
		path = string(e.asked.encoded)
	}
	if len(e.asked.Query) > 0 {
		path += "?" + string(e.asked.Query)
	}
	f := &Forward{Service: r.Service, Path: path, Balance: "round_robin", Endpoints: []Endpoint{}}
	for _, s := range e.config.Services {
		if s.Name != r.Service {
			continue
		}
		for _, p := range s.Endpoints {
			f.Endpoints = append(f.Endpoints, Endpoint{p.URL, p.Weight})
		}
	}
	return f
}
