package routing

import "github.com/uringproxy/uringproxy/routing/regset"

// anyOf has the expressions of one test, which is met when one of them matches: as many sets as they take.
type anyOf struct {
	set  *regset.Set
	more *anyOf
}

func compileAnyOf(texts []string) (*anyOf, error) {
	n := min(len(texts), regset.Max)
	set, err := regset.Compile(texts[:n])
	if err != nil {
		return nil, err
	}
	e := &anyOf{set: set}
	if n < len(texts) {
		e.more, err = compileAnyOf(texts[n:])
	}
	return e, err
}

func (e *anyOf) match(b []byte) bool {
	for ; e != nil; e = e.more {
		if e.set.Match(b) != 0 {
			return true
		}
	}
	return false
}
