package routing

import "github.com/uringproxy/uringproxy/routing/rule"

// Route is what a table is made of.
type Route struct {
	Name     string
	Priority int        // a greater one goes first
	Rule     *rule.Expr // nil: every request
	Target   int        // what Match returns; not negative
}

// Bounds of Route.Priority.
const (
	MinPriority = -1_000_000
	MaxPriority = 1_000_000
)
