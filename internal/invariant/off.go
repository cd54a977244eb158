//go:build !invariant && !race

package invariant

// Enabled is false in ordinary builds: every `if invariant.Enabled && …` compiles to nothing.
const Enabled = false
