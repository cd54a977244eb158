package main

// Names of proxies and scenarios, as uringproxy bench has them.
const (
	uring     = "uringproxy-uring"
	epoll     = "uringproxy-epoll"
	baseUring = "base-uring"
	baseEpoll = "base-epoll"

	small     = "http1-small"
	crowd     = "http1-1024"
	page      = "http1-64k"
	large     = "http1-1m"
	churn     = "churn"
	fixedRate = "fixed-rate"
	idle      = "idle-memory"
	reload    = "reload-under-load"

	tlsSmall     = "tls-keepalive"
	tlsHandshake = "tls-handshake"
	tlsIdle      = "tls-idle"
	tlsFlood     = "tls-flood"

	tcpBulk     = "tcp-bulk"
	tcpBulks    = "tcp-bulk-64"
	tcpPingPong = "tcp-pingpong-1"
	tcpMessages = "tcp-pingpong"
)

// Limits of the rows that compare uringproxy with itself.
const (
	reloadLimit  = 1.10   // row 10: p99 with changes to that without
	matchLimit   = 1000   // row 11: ns, 99th percentile of a match
	matchBug     = 10_000 // row 11: ns; more is a fault, whatever else was measured
	engineLimit  = 1.00   // row 12: io_uring to epoll, each scenario
	engineBetter = 0.90   // row 12: the same, in engineTimes scenarios
	engineTimes  = 2
	baseLimit    = 1.03 // row 13: this build to the other one
	floodLimit   = 1.30 // row 14: p99 while handshakes flood in to that without
)

// peers are the proxies that rows have limits for, in the order of the document's columns.
var peers = []string{"traefik", "nginx", "haproxy"}

// versusPeers is a row of the contract that compares the io_uring engine with other proxies: the ratio of costs in one
// scenario, lower is better.
type versusPeers struct {
	id       string
	scenario string     // of uringproxy bench
	limits   [3]float64 // by peers
}

var peerRows = []versusPeers{
	{id: "1", scenario: small, limits: [3]float64{0.13, 0.75, 0.60}},
	{id: "2", scenario: crowd, limits: [3]float64{0.13, 0.70, 0.55}},
	{id: "3", scenario: fixedRate, limits: [3]float64{0.30, 0.90, 0.90}},
	{id: "4", scenario: page, limits: [3]float64{0.50, 0.75, 0.85}},
	{id: "4b", scenario: large, limits: [3]float64{0.85, 0.70, 0.70}},
	{id: "5", scenario: churn, limits: [3]float64{0.28, 0.90, 0.75}},
	{id: "6", scenario: tlsSmall, limits: [3]float64{0.16, 0.55, 0.50}},
	{id: "7", scenario: tlsHandshake, limits: [3]float64{0.85, 0.70, 0.80}},
	{id: "8", scenario: tcpBulk, limits: [3]float64{0.60, 0.65, 0.50}},
	{id: "8b", scenario: tcpBulks, limits: [3]float64{0.60, 0.65, 0.50}},
	{id: "8c", scenario: tcpPingPong, limits: [3]float64{0.60, 0.65, 0.50}},
	{id: "8d", scenario: tcpMessages, limits: [3]float64{0.60, 0.65, 0.50}},
	{id: "9", scenario: idle, limits: [3]float64{0.02, 1.00, 0.45}},
	{id: "9b", scenario: tlsIdle, limits: [3]float64{0.05, 0.13, 0.13}},
}

// memoryScenarios are those whose figures do not depend on who uses the cores.
var memoryScenarios = []string{idle, tlsIdle}

// engineScenarios are those of row 12.
var engineScenarios = []string{small, crowd, page, large, tcpBulk, tcpBulks, tcpPingPong, tcpMessages}

// matchShapes and matchSizes are the tables of row 11, as routing's benchmark names them.
var (
	matchShapes = []string{"hosts", "prefixes", "deep", "wildcards"}
	matchSizes  = []int{1, 1000, 100_000, 1_000_000}
)
