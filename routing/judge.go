package routing

import "github.com/uringproxy/uringproxy/routing/rule"

// Judgement is what one route, looked at alone, says to a request: for explanations, which have time.
type Judgement struct {
	Route Route
	// Fits says whether the request fits the route.
	Fits bool
	// Alternative is the one of the route's that goes first among those that fit, or else the one that came closest;
	// without conditions if nothing can fit the route.
	Alternative rule.Alternative
	// Missed is the condition of Alternative that the request does not meet first, if it does not fit.
	Missed rule.Predicate
}

// Judge finds out whether req fits r, and why not. The error says that r cannot be compiled.
func Judge(r Route, req *Request) (Judgement, error) {
	return judge(r, r.Rule, &subject{Request: req, name: canonicalHost(req.Host, &req.host)})
}

// JudgeHello is Judge for a tcp route and what MatchHello looks at. The conditions on the server name are conditions on
// the host in what it returns; rule.Alternative.OverSNI turns them round for showing.
func JudgeHello(r Route, req *Request) (Judgement, error) {
	s := helloSubject(req)
	return judge(r, r.Rule.OverHost(), &s)
}

func judge(r Route, e *rule.Expr, s *subject) (Judgement, error) {
	j := Judgement{Route: r}
	x, err := e.Expand()
	if err != nil {
		return j, err
	}
	closest := -1
	for _, a := range x.Alternatives {
		met, missed, err := s.conditions(&a)
		if err != nil {
			return j, err
		}
		better := met > closest
		if missed == nil {
			better = !j.Fits || Specificity(&a) > Specificity(&j.Alternative)
		} else if j.Fits {
			better = false
		}
		if better {
			closest, j.Alternative, j.Fits = met, a, missed == nil
			if missed != nil {
				j.Missed = *missed
			}
		}
	}
	if j.Fits {
		j.Missed = rule.Predicate{}
	}
	return j, nil
}

// conditions counts how many conditions of a the request meets before the first that it does not; nil if there is none.
func (s *subject) conditions(a *rule.Alternative) (met int, missed *rule.Predicate, err error) {
	all := append([]rule.Predicate{a.Host, a.Path}, a.Tests...)
	for i := range all {
		t, err := newTest(&all[i], compileAnyOf)
		if err != nil {
			return 0, nil, err
		}
		if t.Kind != rule.None && !s.fits(&t) {
			return i, &all[i], nil
		}
	}
	return len(all), nil, nil
}

// Edge names what decides between two routes that both fit.
type Edge uint8

const (
	ByPriority   Edge = iota // the greater priority
	ByHost                   // the more specific host
	ByPath                   // the more specific path
	ByPredicates             // more further predicates
	ByName                   // the name that comes first
)

// Before tells whether j's alternative goes before k's, and by what.
func (j *Judgement) Before(k *Judgement) (before bool, by Edge) {
	a, b := Specificity(&j.Alternative), Specificity(&k.Alternative)
	switch {
	case j.Route.Priority != k.Route.Priority:
		return j.Route.Priority > k.Route.Priority, ByPriority
	case a>>hostShift != b>>hostShift:
		return a > b, ByHost
	case a>>pathShift != b>>pathShift:
		return a > b, ByPath
	case a != b:
		return a > b, ByPredicates
	}
	return j.Route.Name < k.Route.Name, ByName
}
