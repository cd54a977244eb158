package inspect

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Reasons for which a route does not fit, as Verdict.By has them.
const (
	missedHost      = "host"
	missedPath      = "path"
	missedCondition = "condition"
	missedNever     = "never"
	elsewhere       = "listener"
)

// miss says how near a route comes that does not fit.
func (c *contest) miss(index int, j *routing.Judgement) miss {
	m := miss{index: index, spec: routing.Specificity(&j.Alternative)}
	a, p := &j.Alternative, &j.Missed
	switch {
	case p.Kind == rule.None:
		m.reason, m.stage = missedNever, -1
	case p.Kind == a.Host.Kind && !p.Not && sameValues(p, &a.Host):
		m.reason = missedHost
		m.near = commonEnd(c.host(), strings.TrimLeft(p.Values[0], "*"))
	case p.Kind == a.Path.Kind && !p.Not && sameValues(p, &a.Path):
		m.reason, m.stage = missedPath, 1
		m.near = commonBegin(string(c.asked.Path), p.Values[0])
	default:
		m.reason, m.stage = missedCondition, 2
		for i := range a.Tests {
			if text := a.Tests[i].String(); text == p.String() {
				m.stage += i
				break
			}
		}
	}
	return m
}

// host is what conditions in the place of the host look at.
func (c *contest) host() string {
	switch {
	case !c.streams:
		return c.asked.name
	case c.asked.TLS != nil:
		return string(c.asked.TLS.SNI)
	}
	return ""
}

func sameValues(p, q *rule.Predicate) bool {
	return len(p.Values) == 1 && len(q.Values) == 1 && p.Values[0] == q.Values[0]
}

func commonBegin(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func commonEnd(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// missed is the verdict on a route that does not fit.
func (c *contest) missed(j *routing.Judgement, reason string) Verdict {
	v := c.verdict(j)
	v.By = reason
	if reason == missedNever {
		v.Alternative, v.Order = "", ""
		v.Because = "nothing can fit it, see: uringproxy check"
		return v
	}
	missed := j.Missed
	if c.streams {
		missed = missed.OverSNI()
	}
	v.Because = c.has(&missed)
	if c.question.Masked {
		missed = missed.Masked()
	}
	v.Missed = missed.String()
	return v
}

// has says what the request has where a condition looks.
func (c *contest) has(p *rule.Predicate) string {
	a := c.asked
	switch subjectOf(p.Kind) {
	case rule.Host:
		if len(a.Host) == 0 {
			return "the request has no host"
		}
		return "the host is " + a.name
	case rule.Path:
		return "the path is " + string(a.Path)
	case rule.Method:
		return "the method is " + string(a.Method)
	case rule.Header:
		var values []string
		for _, f := range a.Fields {
			if strings.EqualFold(string(f.Name), p.Name) {
				values = append(values, string(f.Value))
			}
		}
		return has(p, "field", values)
	case rule.Query:
		return has(p, "parameter", parameters(string(a.Query), p.Name))
	case rule.ClientIP:
		if !a.Client.IsValid() {
			return "the client's address is not known"
		}
		return "the client is " + a.Client.String()
	case rule.DestinationPort:
		if a.Port == 0 {
			return "the port is not known"
		}
		return "the port is " + strconv.Itoa(int(a.Port))
	}
	return c.offers(p)
}

// has says which values there are under a name.
func has(p *rule.Predicate, noun string, values []string) string {
	if len(values) == 0 {
		return fmt.Sprintf("there is no %s %s", noun, p.Name)
	}
	return fmt.Sprintf("the %s %s is %s", noun, p.Name, strings.Join(values, " and "))
}

// parameters are the values of a query's parameter, as they stand there.
func parameters(query, name string) (values []string) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if decoded(key) == name && pair != "" {
			values = append(values, decoded(value))
		}
	}
	return values
}

// decoded is a part of a query in plain text; one with a faulty escape stays as it is.
func decoded(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// offers says what the client says by TLS.
func (e *explainer) offers(p *rule.Predicate) string {
	h := e.asked.TLS
	if subjectOf(p.Kind) == rule.ClientCert {
		return e.shown()
	}
	if h == nil {
		if e.report.Request == nil {
			return "the client speaks no TLS"
		}
		return "the connection is plain"
	}
	switch p.Kind {
	case rule.SNI, rule.SNIRegexp:
		return "the client asks for " + orNone(string(h.SNI))
	case rule.ALPN:
		return "the client offers " + orNone(strings.Join(e.asked.hello.ALPN, ", "))
	case rule.TLSVersion:
		if h.Version == 0 {
			return "the client offers version none"
		}
		return "the client offers version " + rule.VersionName(h.Version)
	case rule.CipherSuite, rule.CipherSuiteOnly:
		var others []string
		for _, n := range h.Suites {
			if !slices.Contains(p.Numbers, n) && !rule.IsSignal(n) {
				others = append(others, rule.SuiteName(n))
			}
		}
		return "the client offers " + orNone(shortList(others, ", "))
	}
	return "the client has " + orNone(string(h.JA4))
}

// shown says which names are in the client's certificate.
func (e *explainer) shown() string {
	if len(e.asked.ClientCert) == 0 {
		return "the client has no certificate that was verified"
	}
	return "the client's certificate is of " + strings.Join(e.question.TLS.ClientCert, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
