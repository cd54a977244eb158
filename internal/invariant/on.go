//go:build invariant || race

package invariant

// Enabled is true in builds with the tag "invariant" and under the race detector.
const Enabled = true
