package control

import "github.com/uringproxy/uringproxy/plan"

// Publisher takes snapshots over, in two steps, so that what can fail does so while nothing has changed yet. Neither
// may change what it is given.
type Publisher interface {
	// Prepare opens the sockets of every listener of the snapshot that is not vacant and not open yet: all of them, or
	// none when there is an error, which is then a *ListenError. The snapshot in force stays in force. A snapshot that
	// was prepared must be published, or another one prepared in its place.
	Prepare(*plan.Snapshot) error
	// Publish hands the snapshot that was prepared last to the data plane. The sockets of its vacant listeners are
	// closed when nobody accepts on them any more. It does not block for long.
	Publish(*plan.Snapshot)
}

// ListenError says which listener cannot be opened, and why.
type ListenError struct {
	Listener string // its name in the configuration
	Err      error  // names the address, and what to do about it
}

func (e *ListenError) Error() string { return "listener " + e.Listener + ": " + e.Err.Error() }

func (e *ListenError) Unwrap() error { return e.Err }
