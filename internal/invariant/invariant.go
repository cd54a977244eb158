// Package invariant states what must hold, and checks it in test builds only.
//
// Use it as `if invariant.Enabled && x > y { invariant.Fail("…") }`, so that the condition and its
// arguments vanish from ordinary builds. It imports nothing of ours and may be imported by anyone.
package invariant

import "fmt"

// Fail panics with a formatted message. It is called only behind Enabled.
func Fail(format string, args ...any) {
	panic("invariant: " + fmt.Sprintf(format, args...))
}
