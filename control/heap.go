package control

import "github.com/uringproxy/uringproxy/internal/hugepage"

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
