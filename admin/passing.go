package admin

// Passing is what passes through a process, or one of its shards, as it is: without being requests.
type Passing struct {
	Streams  Passage `json:"streams"`      // connections of tcp routes
	Upgrades Passage `json:"upgrades"`     // connections that a request has switched to another protocol
	Sessions Passage `json:"udp_sessions"` // clients of udp routes

	// Bytes of streams and upgrades, each counted once, by the way that they took.
	Copied  uint64 `json:"bytes_copied"`
	Bulk    uint64 `json:"bytes_copied_in_bulk"`
	Spliced uint64 `json:"bytes_spliced"` // by the kernel, from socket to socket

	PipesUsed int64 `json:"pipes_in_use"`
	Pipes     int64 `json:"pipes"`
	Awaited   int64 `json:"first_bytes_awaited"` // clients who have not said yet what their connection is

	DatagramsReceived uint64 `json:"datagrams_received"` // from clients
	DatagramsSent     uint64 `json:"datagrams_sent"`     // to clients
	DatagramsDropped  uint64 `json:"datagrams_dropped"`
}

// Passage is one kind of them.
type Passage struct {
	Open   int64  `json:"open"`
	Begun  uint64 `json:"begun"`  // since the start
	Broken uint64 `json:"broken"` // of these: they did not end in order
}
