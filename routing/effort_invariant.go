//go:build invariant

package routing

import "sync/atomic"

// counting is true in builds with the tag invariant.
const counting = true

// effort is what all searches have taken so far.
var effort struct {
	probes       atomic.Uint64 // places of dictionaries and nodes of trees looked at
	compares     atomic.Uint64 // texts compared
	alternatives atomic.Uint64 // alternatives of routes tried
}
