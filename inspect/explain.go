package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/urlpath"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// Report says what becomes of a connection and a request, and why.
type Report struct {
	// Request is nil when the question is about a connection only.
	Request  *Request `json:"request,omitempty"`
	Listener Listener `json:"listener"`
	// Client is the address, where there is neither a Request nor a Hello that has it.
	Client string   `json:"client,omitempty"`
	Notes  []string `json:"notes,omitempty"`
	// Hello is what the client says by TLS, as far as it is known; nil on a plain connection.
	Hello *Hello `json:"client_hello,omitempty"`
	// Streams are the tcp routes that may take the connection as it is, and Datagrams the udp routes; nil: none is
	// asked.
	Streams   *Standing `json:"tcp_routes,omitempty"`
	Datagrams *Standing `json:"udp_routes,omitempty"`
	// TLS is what is agreed on; nil on a plain connection, and on one of which a tcp route passes TLS on.
	TLS *Termination `json:"tls,omitempty"`
	// Status is what the proxy answers by itself, and Reason why; without a Status, there is no answer at all. Both are
	// empty if the request is forwarded. There may be a Winner all the same, which refuses it.
	Status int    `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`

	Standing // of the routes
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
	Name     string `json:"name"`
	Address  string `json:"address"`
	Protocol string `json:"protocol,omitempty"` // "tcp", "udp" or "auto"; empty: "http"
}

// Running is what a running process has at hand of the configuration in question, so that nothing has to be compiled or
// read for an answer. What is nil, it does not have.
type Running struct {
	// Route is the name of the route that a listener's table leads to, or of the tcp route, by what is known of the
	// request; empty: none.
	Route func(listener string, streams bool, r *routing.Request) string
	// Certificates are those of a listener that speaks TLS. A process that does not tell them gets no answer on
	// certificates: what its files hold now may be others.
	Certificates func(listener string) *certs.Set
}

// Explain says what becomes of a request. The error says what is wrong with the question.
func Explain(c *config.Config, q *Question) (*Report, error) { return ExplainRunning(c, q, Running{}) }

// ExplainRunning is Explain for a process that runs by c.
func ExplainRunning(c *config.Config, q *Question, running Running) (*Report, error) {
	a, err := ask(c, q)
	if err != nil {
		return nil, err
	}
	l, err := listenerOf(c, q, a)
	if err != nil {
		return nil, err
	}
	for _, name := range q.Routes {
		if !isRoute(c, name) {
			return nil, fmt.Errorf("find route: there is none named %q", name)
		}
	}
	e := &explainer{config: c, asked: a, question: q, listener: l, running: running}
	e.describe()
	r := &e.report
	r.Later, r.Misses = []Verdict{}, []Verdict{}
	err = e.arrival()
	if err == nil && r.Reason == "" && r.Request != nil && (r.Streams == nil || r.Streams.Winner == nil) {
		err = e.request()
	}
	r.Notes = a.notes
	switch {
	case r.Request != nil || !a.Client.IsValid():
	case r.Hello != nil:
		r.Hello.Client = a.Client.String()
	default:
		r.Client = a.Client.String()
	}
	return r, err
}

// request explains what becomes of the request, on a connection that serves requests.
func (e *explainer) request() error {
	a, r := e.asked, &e.report
	redirect, connect := e.listener.Redirect, string(a.Method) == "CONNECT"
	if a.TLS != nil {
		redirect = nil
	}
	if connect { // whose target is a host and a port (RFC 9112, section 3.2.3)
		a.Path, a.Query = []byte("/"), nil
	}
	switch { // in the order of proxy
	case e.misdirected():
		r.Status, r.Reason = 421, "the host demands a client certificate, which its connection was not asked for"
		return nil
	case a.refused != urlpath.OK:
		r.Status, r.Reason = 400, a.refused.String()
		return nil
	case connect && redirect != nil:
		r.Status, r.Reason = 405, "CONNECT on a listener that sends clients to https"
		return nil
	case redirect != nil && len(a.Host) == 0:
		r.Status, r.Reason = 400, "without a host, nobody knows where to send the client"
		return nil
	case redirect != nil:
		r.Status, r.Reason = redirect.Code, "the listener sends clients to "+e.redirection()
		return nil
	}
	c := e.routes()
	if err := c.decide(); err != nil {
		return err
	}
	r.Standing = c.Standing
	switch {
	case r.Status != 0: // for what the winner lets through
		r.Forward = nil
	case r.Winner == nil && connect:
		r.Status, r.Reason = 405, "CONNECT that no route fits"
	case r.Winner == nil:
		r.Status, r.Reason = 404, "no route fits"
	case connect && !c.all[c.fits[0].Route.Target].route.Connect:
		r.Status, r.Reason, r.Forward = 405, "CONNECT, which route "+r.Winner.Route+" does not let through", nil
	}
	return nil
}

// redirection is where a listener sends clients that it does not serve.
func (e *explainer) redirection() string {
	host := e.asked.name
	if port := e.listener.Redirect.Port; port != 443 {
		host = fmt.Sprintf("%s:%d", host, port)
	}
	return "https://" + host
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
		port = q.Port
	}
	if port == 0 {
		port = map[string]int{"http": 80, "https": 443}[a.scheme]
	}
	var all, fit, secure []*config.Listener
	for _, l := range c.Listeners {
		if q.URL != "" && !l.Requests() {
			continue
		}
		all = append(all, l)
		if leads(port, l) {
			fit = append(fit, l)
		}
		if l.TLS != nil {
			secure = append(secure, l)
		}
	}
	named := slices.ContainsFunc(c.Routes, func(r *config.Route) bool { return len(r.Listeners) > 0 })
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(secure) == 1 && a.port == 0 && (a.scheme == "https" || q.TLS.Given()):
		return secure[0], nil
	case len(all) == 1, q.URL != "" && !named && len(all) > 0 && len(secure) == 0 && !redirects(c): // all have the same
		return all[0], nil
	}
	return nil, fmt.Errorf("find listener: the URL does not tell which; say --listener and one of %s",
		strings.Join(names, ", "))
}

// redirects reports whether some listener serves nobody.
func redirects(c *config.Config) bool {
	return slices.ContainsFunc(c.Listeners, func(l *config.Listener) bool { return l.Redirect != nil })
}

func isRoute(c *config.Config, name string) bool {
	return slices.ContainsFunc(c.Routes, func(r *config.Route) bool { return r.Name == name }) ||
		slices.ContainsFunc(slices.Concat(c.Streams, c.Datagrams),
			func(r *config.StreamRoute) bool { return r.Name == name })
}

// explainer is one explanation at work.
type explainer struct {
	config   *config.Config
	asked    *asked
	question *Question
	listener *config.Listener
	running  Running
	report   Report
}

// describe fills in what is known before any route is asked.
func (e *explainer) describe() {
	a, r := e.asked, &e.report
	r.Listener = Listener{Name: e.listener.Name, Address: "unix:" + e.listener.Unix}
	if e.listener.Unix == "" {
		r.Listener.Address = e.listener.Addr.String()
	}
	r.Listener.Protocol = protocolWords[e.listener.Protocol]
	e.arriveAt()
	if e.question.URL == "" {
		return
	}
	r.Request = &Request{Method: string(a.Method), Host: a.name, Path: string(a.Path), Query: string(a.Query)}
	if a.written != a.name {
		r.Request.HostReceived = a.written
	}
	if a.received != r.Request.Path {
		r.Request.PathReceived = a.received
	}
	if a.Client.IsValid() {
		r.Request.Client = a.Client.String()
	}
	switch {
	case e.listener.TLS != nil:
	case a.TLS != nil:
		a.note("listener %s speaks no TLS: this is what it would do if it did", e.listener.Name)
	case a.scheme == "https":
		a.note("listener %s speaks no TLS: a client gets no answer to https, and this is for http", e.listener.Name)
	}
	if len(a.Host) == 0 {
		a.note("there is no host: a client of HTTP/1.1 always sends one")
	}
}
