package inspect

import (
	"fmt"
	"net/url"
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
func (e *explainer) miss(index int, j *routing.Judgement) miss {
	m := miss{index: index, spec: routing.Specificity(&j.Alternative)}
	a, p := &j.Alternative, &j.Missed
	switch {
	case p.Kind == rule.None:
		m.reason, m.stage = missedNever, -1
	case p.Kind == a.Host.Kind && !p.Not && sameValues(p, &a.Host):
		m.reason = missedHost
		m.near = commonEnd(e.asked.name, strings.TrimLeft(p.Values[0], "*"))
	case p.Kind == a.Path.Kind && !p.Not && sameValues(p, &a.Path):
		m.reason, m.stage = missedPath, 1
		m.near = commonBegin(string(e.asked.Path), p.Values[0])
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
func (e *explainer) missed(j *routing.Judgement, reason string) Verdict {
	v := e.verdict(j)
	v.By = reason
	if reason == missedNever {
		v.Alternative, v.Order = "", ""
		v.Because = "nothing can fit it, see: uringproxy check"
		return v
	}
	missed := j.Missed
	if e.question.Masked {
		missed = missed.Masked()
	}
	v.Missed, v.Because = missed.String(), e.has(&j.Missed)
	return v
}

// has says what the request has where a condition looks.
func (e *explainer) has(p *rule.Predicate) string {
	a := e.asked
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
	}
	return e.offers(p)
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
	if h == nil {
		return "the connection is plain"
	}
	switch p.Kind {
	case rule.SNI:
		return "the client asks for " + orNone(string(h.SNI))
	case rule.ALPN:
		return "the client offers " + orNone(strings.Join(e.question.TLS.ALPN, ", "))
	case rule.TLSVersion:
		return "the client offers version " + orNone(e.question.TLS.Version)
	case rule.CipherSuite:
		return "the client offers " + orNone(strings.Join(e.question.TLS.Suites, ", "))
	}
	return "the client has " + orNone(string(h.JA4))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
