//go:build invariant

package e2e

var tagFlags = []string{"-tags", "invariant"}
