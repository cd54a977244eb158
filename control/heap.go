package control

import (
	"runtime/debug"
	"runtime/metrics"

	"github.com/uringproxy/uringproxy/internal/hugepage"
)

// tend sees to the heap when a configuration has become current: with many routes it lies in large pages, and with few
// it is not collected with every other change.
func (m *Manager) tend(routes int) {
	m.spread(routes)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	p := percent(live[0].Value.Uint64())
	if p < m.gcPercent*3/4 || p > m.gcPercent*4/3 { // setting it stops the world
		m.gcPercent = p
		debug.SetGCPercent(p)
	}
}

// leastGarbage is how many bytes of garbage are worth a collection. Only changes of the configuration make any, and a
// collection competes with the shards for the cores: when changes come ten times a second, one every other second
// is less than a hundredth of the requests can notice.
const leastGarbage = 64 << 20

// percent is the garbage to wait for, as a percentage of what is live: as usual, but at least leastGarbage.
func percent(live uint64) int {
	return int(max(100, leastGarbage*100/max(live, 1<<20)))
}

// manyRoutes is the number of routes from which on their tables outgrow what a processor finds without walking through
// page tables.
const manyRoutes = 100_000

// spread puts the heap into large pages when there are many routes, and again whenever there are half as many more.
func (m *Manager) spread(routes int) {
	if routes < manyRoutes || routes < m.spreadFor+m.spreadFor/2 {
		return
	}
	m.spreadFor = routes
	made, failed := hugepage.Collapse()
	m.opts.Log.Info("memory of many routes put into large pages", "routes", routes, "pages", made, "failed", failed)
}
