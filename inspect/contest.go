package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Standing is how the routes of one kind stand to a request, or to a connection.
type Standing struct {
	Winner  *Verdict `json:"winner,omitempty"`
	Forward *Forward `json:"forward,omitempty"`
	// Later are the routes that fit too, in the order in which they would come; Misses those that do not, the nearest
	// first.
	Later  []Verdict `json:"later"`
	Misses []Verdict `json:"misses"`
	// Omitted are those that are neither.
	Omitted []Omitted `json:"omitted,omitempty"`
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
	// others. The server name of a tcp route is its "host".
	By string `json:"by,omitempty"`
	// Because says it in words; Missed is the condition that does not fit.
	Because string `json:"because,omitempty"`
	Missed  string `json:"missed,omitempty"`

	everything string // what a route without a rule is for, in words
}

// Forward is what happens to a request, a connection or a client's datagrams that have a route.
type Forward struct {
	Service string `json:"service"`
	Path    string `json:"path,omitempty"` // with the query; empty for a connection
	Balance string `json:"balance"`
	// Upgrade are the protocols to which the client wants to switch, as far as the route lets them through.
	Upgrade []string `json:"upgrade,omitempty"`
	// TLS is "terminate" where it ends before what was in it is passed on as it is.
	TLS string `json:"tls,omitempty"`
	// Proxy is the version of the PROXY protocol by which endpoints are told of the client; empty: they are not.
	Proxy     string     `json:"proxy_protocol,omitempty"`
	Limits    *Limits    `json:"limits,omitempty"` // of the route; nil: it has none
	Endpoints []Endpoint `json:"endpoints"`
}

// Limits are how many connections or clients a route takes.
type Limits struct {
	Connections int `json:"max_connections,omitempty"` // 0: any number
	Rate        int `json:"connection_rate,omitempty"` // per second; 0: any
	Burst       int `json:"connection_burst,omitempty"`
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

// contender is a route of any kind.
type contender struct {
	name      string
	listeners []string
	here      bool // it is for the listener in question
	rule      *rule.Expr
	priority  int
	service   string
	route     *config.Route       // for requests, or
	stream    *config.StreamRoute // for connections or datagrams
}

// contest finds out which of the routes of one kind wins, and why the others do not.
type contest struct {
	*explainer
	family
	streams bool // of connections or datagrams
	all     []contender

	here   []routing.Route // of the listener; their targets are indexes in all
	fits   []routing.Judgement
	misses []miss
	others int // routes for other listeners
	Standing
}

// miss is a route that does not fit, and how near it comes.
type miss struct {
	index  int // in contest.here
	stage  int // how many conditions it met
	near   int // how much of the host or path is right
	spec   uint64
	reason string
}

// routes are the contenders for a request.
func (e *explainer) routes() *contest {
	c := &contest{explainer: e, family: ofRequests}
	for _, r := range e.config.Routes {
		c.all = append(c.all, contender{r.Name, r.Listeners, r.For(e.listener), r.Rule, r.Priority, r.Service, r, nil})
	}
	return c
}

// streams are those for a connection, or for the datagrams of a client.
func (e *explainer) streams() *contest {
	c := &contest{explainer: e, streams: true, family: ofConnections}
	routes := e.config.Streams
	if e.listener.Protocol == plan.UDP {
		c.family, routes = ofDatagrams, e.config.Datagrams
	}
	for _, r := range routes {
		c.all = append(c.all, contender{r.Name, r.Listeners, r.For(e.listener), r.Rule, r.Priority, r.Service, nil, r})
	}
	return c
}

// decide asks the tables for the winner, and each rule for the reasons.
func (c *contest) decide() error {
	for i := range c.all {
		if r := &c.all[i]; r.here {
			c.here = append(c.here, routing.Route{Name: r.name, Priority: r.priority, Rule: r.rule, Target: i})
		}
	}
	c.others = len(c.all) - len(c.here)
	winner, err := c.winner()
	if err != nil {
		return err
	}
	for i := range c.here {
		j, err := c.judge(c.here[i])
		if err != nil {
			return err
		}
		if j.Fits {
			c.fits = append(c.fits, j)
		} else {
			c.misses = append(c.misses, c.miss(i, &j))
		}
	}
	slices.SortFunc(c.fits, func(a, b routing.Judgement) int {
		if before, _ := a.Before(&b); before {
			return -1
		}
		return 1
	})
	best := ""
	if len(c.fits) > 0 {
		best = c.fits[0].Route.Name
	}
	if best != winner {
		return errors.New("explain request: the tables and the rules disagree, which is a bug of uringproxy: " +
			"please report the configuration and the request")
	}
	c.tell()
	return nil
}

// winner is the name of the route that the tables lead to; empty: none. Those of a running process are asked if there
// is one, else the routes are compiled.
func (c *contest) winner() (string, error) {
	request := &c.asked.Request
	if c.running.Route != nil {
		return c.running.Route(c.listener.Name, c.streams, request), nil
	}
	compile, match := routing.Compile, (*routing.Table).Match
	if c.streams {
		compile, match = routing.CompileStreams, (*routing.Table).MatchHello
	}
	table, err := compile(c.here)
	if err != nil {
		return "", err
	}
	if target := match(table, request); target >= 0 {
		return c.all[target].name, nil
	}
	return "", nil
}

func (c *contest) judge(r routing.Route) (routing.Judgement, error) {
	if c.streams {
		return routing.JudgeHello(r, &c.asked.Request)
	}
	return routing.Judge(r, &c.asked.Request)
}

// tell fills in what was found out.
func (c *contest) tell() {
	c.Later, c.Misses = []Verdict{}, []Verdict{}
	if len(c.fits) > 0 {
		w := c.verdict(&c.fits[0])
		c.Winner = &w
		c.Forward = c.forward(&c.all[c.fits[0].Route.Target])
	}
	for i := range c.fits {
		if i == 0 {
			continue
		}
		v := c.verdict(&c.fits[i])
		_, by := c.fits[0].Before(&c.fits[i])
		v.By, v.Because = edgeName(by), c.decision(&c.fits[0], &c.fits[i], by)
		if c.wanted(v.Route, i-1) {
			c.Later = append(c.Later, v)
		} else {
			c.omit(byLater, 1)
		}
	}
	slices.SortStableFunc(c.misses, func(a, b miss) int {
		return cmp.Or(b.stage-a.stage, b.near-a.near, cmp.Compare(b.spec, a.spec))
	})
	for i, m := range c.misses {
		if !c.wanted(c.here[m.index].Name, i) {
			c.omit(m.reason, 1)
			continue
		}
		if j, err := c.judge(c.here[m.index]); err == nil {
			c.Misses = append(c.Misses, c.missed(&j, m.reason))
		}
	}
	c.elsewhere()
}

// wanted reports whether a route is told, which is the nth of its list.
func (c *contest) wanted(name string, nth int) bool {
	if len(c.question.Routes) > 0 {
		return slices.Contains(c.question.Routes, name)
	}
	return c.question.All || nth < nearest
}

func (c *contest) omit(by string, n int) {
	if n == 0 {
		return
	}
	i := slices.IndexFunc(c.Omitted, func(o Omitted) bool { return o.By == by })
	if i < 0 {
		i = len(c.Omitted)
		c.Omitted = append(c.Omitted, Omitted{By: by})
	}
	c.Omitted[i].Count += n
}

// elsewhere tells of routes for other listeners.
func (c *contest) elsewhere() {
	told := 0
	for i := range c.all {
		r := &c.all[i]
		if r.here || !slices.Contains(c.question.Routes, r.name) {
			continue
		}
		v := c.verdict(&routing.Judgement{Route: routing.Route{Name: r.name, Priority: r.priority, Rule: r.rule}})
		v.Alternative, v.Order = "", ""
		v.By, v.Because = elsewhere, "it is for "+strings.Join(r.listeners, ", ")
		if len(r.listeners) == 0 {
			v.Because = "it names no listeners, and so is not for this one"
		}
		c.Misses = append(c.Misses, v)
		told++
	}
	c.omit(elsewhere, c.others-told)
}

// verdict is what there is to say of a route in any case.
func (c *contest) verdict(j *routing.Judgement) Verdict {
	whole, part := j.Route.Rule, j.Alternative
	if c.question.Masked {
		whole, part = whole.Masked(), part.Masked()
	}
	order := fmt.Sprintf("priority: %d; host: %s; path: %s; further conditions: %d", j.Route.Priority,
		hostWords(&j.Alternative.Host), pathWords(&j.Alternative.Path), len(j.Alternative.Tests))
	if c.streams {
		part = part.OverSNI()
		order = fmt.Sprintf("priority: %d; server name: %s; further conditions: %d", j.Route.Priority,
			hostWords(&j.Alternative.Host), len(j.Alternative.Tests))
	}
	if c.family == ofDatagrams {
		order = fmt.Sprintf("priority: %d; conditions: %d", j.Route.Priority, len(j.Alternative.Tests))
	}
	f := c.config.Fault(config.Path(c.table, j.Route.Name), "", "", "")
	v := Verdict{
		Route: j.Route.Name, Rule: whole.String(), File: f.File, Line: f.Line, Column: f.Column,
		Priority: j.Route.Priority, Order: order, everything: "any " + c.thing,
	}
	if j.Route.Rule == nil {
		v.Rule = ""
	}
	if part.Host.Kind != rule.None || part.Path.Kind != rule.None || len(part.Tests) > 0 {
		v.Alternative = part.String()
	}
	return v
}

// forward says where a request goes, or a connection.
func (c *contest) forward(r *contender) *Forward {
	f := &Forward{Service: r.service, Balance: "round_robin", Endpoints: []Endpoint{}}
	if !c.streams {
		f.Path = c.report.Request.Path
		if c.config.Paths.ForwardReceived {
			f.Path = string(c.asked.encoded)
		}
		if len(c.asked.Query) > 0 {
			f.Path += "?" + string(c.asked.Query)
		}
		f.Upgrade = c.upgrade(r.route)
	}
	if s := r.stream; s != nil {
		if s.Terminate {
			f.TLS = "terminate"
		}
		if s.Connections > 0 || s.Rate > 0 {
			f.Limits = &Limits{s.Connections, s.Rate, s.Burst}
		}
	}
	for _, s := range c.config.Services {
		if s.Name != r.service {
			continue
		}
		if s.ByClient {
			f.Balance = "client_ip"
		}
		f.Proxy = [...]string{"", plan.ProxyV1: "v1", plan.ProxyV2: "v2"}[s.Proxy]
		for _, p := range s.Endpoints {
			f.Endpoints = append(f.Endpoints, Endpoint{p.URL, p.Weight})
		}
	}
	return f
}

// upgrade are the protocols that a request offers and its route lets through (RFC 9110, section 7.8).
func (c *contest) upgrade(r *config.Route) (through []string) {
	a := c.asked
	offered := a.listed("Upgrade")
	if len(offered) == 0 || string(a.Method) == "CONNECT" { // which is an offer itself
		return nil
	}
	named := func(option string) bool { return strings.EqualFold(option, "upgrade") }
	if !slices.ContainsFunc(a.listed("Connection"), named) {
		a.note("Upgrade means nothing where Connection does not name it, and the service is not told of it")
		return nil
	}
	for _, protocol := range offered {
		if r.Allows(protocol) {
			through = append(through, protocol)
		} else {
			a.note("route %s lets no upgrade to %s through, and the service is not told of it", r.Name, protocol)
		}
	}
	webSocket := func(protocol string) bool {
		name, _, _ := strings.Cut(protocol, "/")
		return strings.EqualFold(name, "websocket")
	}
	if slices.ContainsFunc(through, webSocket) && string(a.Method) != "GET" {
		c.report.Status, c.report.Reason = 400, "WebSocket handshake with a method other than GET"
	}
	return through
}

// listed are the elements of the lists that fields with a name hold.
func (a *asked) listed(name string) (all []string) {
	for _, f := range a.Fields {
		if !strings.EqualFold(string(f.Name), name) {
			continue
		}
		for element := range strings.SplitSeq(string(f.Value), ",") {
			if element = strings.Trim(element, " \t"); element != "" {
				all = append(all, element)
			}
		}
	}
	return all
}
