package h1

// Code is what became of a message: complete, incomplete, or one of the faults for which it is refused.
type Code uint8

const (
	OK       Code = iota // the message (or head, or body) is complete
	NeedMore             // no fault so far, but it goes on

	// Start line.
	EmptyLine
	BadMethod
	MethodTooLong
	BadTarget
	BadTargetByte
	Fragment
	BadEscape
	BadScheme
	BadAuthority
	MissingVersion
	BadVersion
	UnsupportedVersion
	BadStatusLine
	LineTooLong

	// Lines and fields.
	BareLF
	BareCR
	LeadingWhitespace
	ObsFold
	EmptyName
	BadName
	MissingColon
	SpaceBeforeColon
	ImitatedName
	ControlByte
	TooManyFields
	HeaderTooLarge

	// Addressing and framing.
	MissingHost
	RepeatedHost
	BadHost
	HostMismatch
	BadContentLength
	RepeatedContentLength
	ContentLengthTooLarge
	BadTransferEncoding
	RepeatedTransferEncoding
	UnknownCoding
	EncodingInHTTP10
	LengthAndEncoding
	BodyForbidden
	BadExpect
	BadConnection
	ConnectionNamesField
	TooManyOptions

	// Leaving HTTP.
	BadUpgrade
	WebSocketMethod
	WebSocketBody
	BadWebSocketKey
	BadWebSocketVersion
	UnaskedSwitch
	EarlySwitch
	BadSwitch
	UnofferedProtocol
	BadWebSocketAccept
	ConnectBody

	// Chunked bodies.
	BadChunkSize
	ChunkTooLarge
	BadChunkExtension
	ChunkExtensionTooLong
	BadChunkEnd
	TrailerForbidden
	TrailerTooLarge
	TooManyTrailers

	codes
)

type verdict struct {
	status int
	reason string
}

var verdicts = [codes]verdict{
	OK:       {200, "complete"},
	NeedMore: {400, "incomplete message"},

	EmptyLine:          {400, "more than one empty line before the request line"},
	BadMethod:          {400, "invalid byte in the method"},
	MethodTooLong:      {501, "method longer than 32 bytes"},
	BadTarget:          {400, "request target of no form that its method allows"},
	BadTargetByte:      {400, "invalid byte in the request target"},
	Fragment:           {400, "fragment in the request target"},
	BadEscape:          {400, "invalid percent-encoding in the path"},
	BadScheme:          {400, "request target with a scheme other than http and https"},
	BadAuthority:       {400, "invalid host or port in the request target"},
	MissingVersion:     {400, "request line without a version"},
	BadVersion:         {400, "malformed HTTP version"},
	UnsupportedVersion: {505, "HTTP major version other than 1"},
	BadStatusLine:      {400, "malformed status line"},
	LineTooLong:        {414, "start line too long"},

	BareLF:            {400, "LF without CR"},
	BareCR:            {400, "CR without LF"},
	LeadingWhitespace: {400, "white space before the first field"},
	ObsFold:           {400, "field continued on the next line"},
	EmptyName:         {400, "empty field name"},
	BadName:           {400, "invalid byte in a field name"},
	MissingColon:      {400, "field line without a colon"},
	SpaceBeforeColon:  {400, "white space in a field name or before its colon"},
	ImitatedName:      {400, "field name that passes for another one"},
	ControlByte:       {400, "control byte in a field value or reason phrase"},
	TooManyFields:     {431, "too many fields"},
	HeaderTooLarge:    {431, "header section too large"},

	MissingHost:              {400, "HTTP/1.1 request without Host"},
	RepeatedHost:             {400, "more than one Host"},
	BadHost:                  {400, "invalid Host"},
	HostMismatch:             {400, "Host and request target name different hosts"},
	BadContentLength:         {400, "invalid Content-Length"},
	RepeatedContentLength:    {400, "more than one Content-Length"},
	ContentLengthTooLarge:    {400, "Content-Length of 2^63 or more"},
	BadTransferEncoding:      {400, "Transfer-Encoding other than chunked"},
	RepeatedTransferEncoding: {400, "more than one Transfer-Encoding"},
	UnknownCoding:            {501, "transfer coding other than chunked before chunked"},
	EncodingInHTTP10:         {400, "Transfer-Encoding in an HTTP/1.0 message"},
	LengthAndEncoding:        {400, "both Content-Length and Transfer-Encoding"},
	BodyForbidden:            {400, "body announced in a response that has none"},
	BadExpect:                {417, "expectation other than 100-continue"},
	BadConnection:            {400, "invalid Connection"},
	ConnectionNamesField:     {400, "Connection names a field that is meant for every recipient"},
	TooManyOptions:           {400, "too many Connection options"},

	BadUpgrade:          {400, "invalid Upgrade"},
	WebSocketMethod:     {400, "WebSocket handshake with a method other than GET"},
	WebSocketBody:       {400, "WebSocket handshake with a body"},
	BadWebSocketKey:     {400, "WebSocket handshake without one valid Sec-WebSocket-Key"},
	BadWebSocketVersion: {400, "WebSocket handshake without one valid Sec-WebSocket-Version"},
	UnaskedSwitch:       {400, "101 to a request that offered no other protocol"},
	EarlySwitch:         {400, "101 before the end of the request"},
	BadSwitch:           {400, "101 without Connection and Upgrade that name a protocol"},
	UnofferedProtocol:   {400, "101 to a protocol that was not offered"},
	BadWebSocketAccept:  {400, "101 without the Sec-WebSocket-Accept of the key"},
	ConnectBody:         {400, "body announced in a CONNECT request"},

	BadChunkSize:          {400, "invalid chunk size"},
	ChunkTooLarge:         {400, "chunk of 2^63 bytes or more"},
	BadChunkExtension:     {400, "invalid chunk extension"},
	ChunkExtensionTooLong: {400, "too many bytes of chunk extensions"},
	BadChunkEnd:           {400, "chunk data without CRLF behind it"},
	TrailerForbidden:      {400, "field that must not be in a trailer section"},
	TrailerTooLarge:       {431, "trailer section too large"},
	TooManyTrailers:       {431, "too many trailer fields"},
}

// String is the reason in a few words, for logs and error bodies. It names no byte of the message.
func (c Code) String() string {
	if c >= codes {
		return "unknown fault"
	}
	return verdicts[c].reason
}

// Status is the status code with which a request of this fault is answered, before its connection is closed. A
// response of any fault is answered for with 502 instead.
func (c Code) Status() int {
	if c >= codes {
		return 400
	}
	return verdicts[c].status
}

// Fault reports whether c says that the message is refused.
func (c Code) Fault() bool { return c > NeedMore }
