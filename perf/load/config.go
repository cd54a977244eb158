package load

import (
	"errors"
	"net/netip"
)

// ErrStopped is what New and Run return when Config.Stop was closed.
var ErrStopped = errors.New("stopped")

// Config says whom to load, and with what.
type Config struct {
	Addr     netip.AddrPort `json:"addr"` // IPv4
	Host     string         `json:"host"` // Host field of every request
	Conns    int            `json:"conns"`
	Streams  int            `json:"streams"`  // connections that ask for StreamPath and stay with the answer
	Services []string       `json:"services"` // all that may ever answer

	Method string   `json:"method"` // "" is GET
	Path   string   `json:"path"`   // "" is AnswerPath
	Header []string `json:"header"` // further field lines of every request: "Accept: */*"
	// Upload is how many bytes of Pattern the body of a request has; the answer must be that of AppendUploaded.
	Upload int64 `json:"upload"`
	// Download is how many bytes of Pattern an answer must have. 0: it has Body of one of the services.
	Download int64 `json:"download"`
	// PerRequest has every request open a connection of its own, of which Conns may be open at once.
	PerRequest bool `json:"per_request"`
	Pipeline   int  `json:"pipeline"` // requests that are sent before an answer is awaited; 0 is 1
	// Idle is how many more connections make one request each when New is called, and then none.
	Idle int `json:"idle"`
	// Stop ends New and Run with ErrStopped when it is closed.
	Stop <-chan struct{} `json:"-"`
}
