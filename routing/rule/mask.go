package rule

// mask stands for values that are not shown.
const mask = "***"

// Masked is p for those who may see what is configured but no secrets: without the values that it asks a header or a
// query for, which may be tokens. It shares memory with p.
func (p Predicate) Masked() Predicate {
	switch p.Kind {
	case Header, HeaderRegexp, Query, QueryRegexp:
		if len(p.Values) > 0 {
			p.Values = []string{mask}
		}
	}
	return p
}

// Masked is a with all of its predicates masked.
func (a Alternative) Masked() Alternative {
	tests := make([]Predicate, len(a.Tests))
	for i := range tests {
		tests[i] = a.Tests[i].Masked()
	}
	a.Tests = tests
	return a
}

// Masked is e with all of its predicates masked. It is for showing only.
func (e *Expr) Masked() *Expr {
	if e == nil {
		return nil
	}
	m := &Expr{Op: e.Op, Pred: e.Pred.Masked(), At: e.At, Args: make([]*Expr, len(e.Args))}
	for i := range m.Args {
		m.Args[i] = e.Args[i].Masked()
	}
	return m
}
