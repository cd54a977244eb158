package metrics

// Reason says why an exchange failed or a connection was refused. The access log writes it, and each has a counter.
type Reason uint8

const (
	None Reason = iota

	ClientGoneHead // the client closed or reset the connection
	ClientGoneBody
	ClientGoneWait
	ClientGoneSend
	BadRequestHead // what the client sent is not HTTP as we accept it
	BadRequestBody
	BadRequestPath // the path has something in it that is read differently by different programs
	UnsupportedRequest
	Misdirected // its host is one for connections that were made under another policy of TLS
	TimeoutRequestHead
	TimeoutRequestBody
	TimeoutSendResponse

	NoProxyHeader // the connection has to begin with a header of the PROXY protocol
	BadProxyHeader
	TimeoutProxyHeader
	BadHello      // what the client sent is no ClientHello as we accept it
	TimeoutDetect // half of what decides what the connection is has come, and no more

	UpgradeRefused // to a protocol that the route does not allow
	ConnectRefused // the route does not allow CONNECT
	BadUpgrade     // what the client sent is no such handshake
	BadSwitch      // the upstream switched to what was not asked for, or not as agreed

	NoRoute
	NoUpstream

	UpstreamConnect // the upstream refused, closed or reset the connection
	UpstreamTLS     // the upstream is there, and there is no TLS with it
	UpstreamSend
	UpstreamHead
	UpstreamBody
	BadResponseHead // what the upstream sent is not HTTP as we accept it
	BadResponseBody
	TimeoutConnect
	TimeoutSendRequest
	TimeoutResponseHead
	TimeoutResponseBody

	ClientGoneStream // what is passed on as it is
	UpstreamStream
	TimeoutStream
	UpstreamUnreachable // an answer to a datagram: nobody is there (ICMP)

	LimitRequestLine
	LimitRequestHead
	LimitRequestBody
	LimitResponseHead
	LimitConns
	LimitConnsPerIP
	LimitUpstreamConns
	LimitBuffers
	LimitStream     // connections or sessions of one route
	LimitStreamRate // new ones per second of one route
	LimitSessions   // UDP clients
	LimitSessionsPerIP

	ShuttingDown
	InternalError
	reasons
)

const (
	choosingRoute    = "choosing a route"
	choosingUpstream = "choosing an upstream"
	connecting       = "connecting to upstream"
	shakingHands     = "shaking hands with upstream"
	sendingRequest   = "sending request"
	readingHead      = "reading response head"
	readingBody      = "reading response body"
	requestHead      = "reading request head"
	requestBody      = "reading request body"
	waiting          = "waiting for upstream"
	sendingResponse  = "sending response"
	passing          = "passing a stream on"
	accepting        = "accepting connection"
	takingBuffer     = "taking a buffer"
	draining         = "draining connections"
	proxyHeader      = "reading PROXY header"
	firstBytes       = "reading first bytes"
	switching        = "switching protocols"
	passingDatagrams = "passing datagrams on"
	handling         = "handling request"
)

// reasonTable has a line for each Reason: its label for machines, what happened, and while doing what.
var reasonTable = [reasons]struct{ label, text, while string }{
	None:                {},
	ClientGoneHead:      {"client_gone_head", "client closed connection", requestHead},
	ClientGoneBody:      {"client_gone_body", "client closed connection", requestBody},
	ClientGoneWait:      {"client_gone_wait", "client closed connection", waiting},
	ClientGoneSend:      {"client_gone_send", "client closed connection", sendingResponse},
	BadRequestHead:      {"bad_request_head", "malformed request", requestHead},
	BadRequestBody:      {"bad_request_body", "malformed request", requestBody},
	BadRequestPath:      {"bad_request_path", "refused path", requestHead},
	UnsupportedRequest:  {"unsupported_request", "unsupported request", requestHead},
	Misdirected:         {"misdirected", "host that is not for this connection", requestHead},
	TimeoutRequestHead:  {"timeout_request_head", "timeout", requestHead},
	TimeoutRequestBody:  {"timeout_request_body", "timeout", requestBody},
	TimeoutSendResponse: {"timeout_send_response", "timeout", sendingResponse},
	NoProxyHeader:       {"no_proxy_header", "no PROXY header", proxyHeader},
	BadProxyHeader:      {"bad_proxy_header", "malformed PROXY header", proxyHeader},
	TimeoutProxyHeader:  {"timeout_proxy_header", "timeout", proxyHeader},
	BadHello:            {"bad_hello", "malformed ClientHello", firstBytes},
	TimeoutDetect:       {"timeout_detect", "timeout", firstBytes},
	UpgradeRefused:      {"upgrade_refused", "upgrade that no route allows", requestHead},
	ConnectRefused:      {"connect_refused", "CONNECT that no route allows", requestHead},
	BadUpgrade:          {"bad_upgrade", "malformed upgrade", requestHead},
	BadSwitch:           {"bad_switch", "malformed response", switching},
	NoRoute:             {"no_route", "no route", choosingRoute},
	NoUpstream:          {"no_upstream", "no upstream", choosingUpstream},
	UpstreamConnect:     {"upstream_connect", "connection failed", connecting},
	UpstreamTLS:         {"upstream_tls", "TLS failed", shakingHands},
	UpstreamSend:        {"upstream_send", "connection lost", sendingRequest},
	UpstreamHead:        {"upstream_head", "connection lost", readingHead},
	UpstreamBody:        {"upstream_body", "connection lost", readingBody},
	BadResponseHead:     {"bad_response_head", "malformed response", readingHead},
	BadResponseBody:     {"bad_response_body", "malformed response", readingBody},
	TimeoutConnect:      {"timeout_connect", "timeout", connecting},
	TimeoutSendRequest:  {"timeout_send_request", "timeout", sendingRequest},
	TimeoutResponseHead: {"timeout_response_head", "timeout", readingHead},
	TimeoutResponseBody: {"timeout_response_body", "timeout", readingBody},
	ClientGoneStream:    {"client_gone_stream", "client reset connection", passing},
	UpstreamStream:      {"upstream_stream", "connection lost", passing},
	TimeoutStream:       {"timeout_stream", "timeout", passing},
	UpstreamUnreachable: {"upstream_unreachable", "endpoint unreachable", passingDatagrams},
	LimitRequestLine:    {"limit_request_line", "limit of request line", requestHead},
	LimitRequestHead:    {"limit_request_head", "limit of request head", requestHead},
	LimitRequestBody:    {"limit_request_body", "limit of request body", requestBody},
	LimitResponseHead:   {"limit_response_head", "limit of response head", readingHead},
	LimitConns:          {"limit_connections", "limit of connections", accepting},
	LimitConnsPerIP:     {"limit_connections_per_ip", "limit of connections per address", accepting},
	LimitUpstreamConns:  {"limit_upstream_connections", "limit of upstream connections", choosingUpstream},
	LimitBuffers:        {"limit_buffers", "limit of buffer memory", takingBuffer},
	LimitStream:         {"limit_route_connections", "limit of the route's connections", choosingRoute},
	LimitStreamRate:     {"limit_route_rate", "limit of the route's rate", choosingRoute},
	LimitSessions:       {"limit_sessions", "limit of UDP sessions", choosingRoute},
	LimitSessionsPerIP:  {"limit_sessions_per_ip", "limit of UDP sessions per address", choosingRoute},
	ShuttingDown:        {"shutting_down", "shutting down", draining},
	InternalError:       {"internal_error", "internal error", handling},
}

// Reasons yields every reason but None.
func Reasons(yield func(Reason) bool) {
	for r := None + 1; r < reasons && yield(r); r++ {
	}
}

// Label is a name in lower case and underscores; empty for None.
func (r Reason) Label() string { return reasonTable[r].label }

// Text says what happened, such as "timeout"; empty for None.
func (r Reason) Text() string { return reasonTable[r].text }

// While says what we were doing, such as "connecting to upstream"; empty for None.
func (r Reason) While() string { return reasonTable[r].while }

// String is Text and While in one phrase: "timeout while connecting to upstream".
func (r Reason) String() string {
	if r == None {
		return "none"
	}
	return r.Text() + " while " + r.While()
}
