//go:build race || !(amd64 || arm64 || riscv64 || ppc64le || s390x || loong64)

package metrics

import "sync/atomic"

// store publishes v to readers, in the way that the race detector understands and every machine supports.
func store(p *uint64, v uint64) { atomic.StoreUint64(p, v) }
