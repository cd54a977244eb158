package hello

// Code is what became of a hello: complete, incomplete, or one of the faults for which it is refused.
type Code uint8

const (
	NeedMore Code = iota // no fault so far, but it goes on
	OK                   // the hello is complete

	// No TLS at all.
	PlainHTTP
	ProxyHeader
	SSLv2
	NotTLS

	// Records.
	AlertFirst
	UnexpectedRecord
	BadRecordVersion
	EmptyRecord
	RecordTooLarge
	Interleaved
	NotHello
	HelloTooLarge
	TrailingBytes

	// The message.
	BadLength
	BadVersion
	BadSessionID
	BadSuites
	TooManySuites
	BadCompression
	BadExtensions
	RepeatedExtension
	TooManyExtensions

	// Its extensions.
	BadServerName
	InvalidName
	BadProtocols
	TooManyProtocols
	BadVersions
	BadGroups
	BadSchemes
	TooManySchemes
	BadKeyShares
	RepeatedKeyShare
	TooManyKeyShares
	BadPSK
	PSKNotLast
	BadEarlyData
	BadECH

	codes
)

// Alert is the description of a TLS alert (RFC 8446, section 6).
type Alert uint8

const (
	UnexpectedMessage Alert = 10
	RecordOverflow    Alert = 22
	HandshakeFailure  Alert = 40
	IllegalParameter  Alert = 47
	DecodeError       Alert = 50
	ProtocolVersion   Alert = 70

	noAlert Alert = 0
)

type verdict struct {
	alert  Alert
	reason string
}

var verdicts = [codes]verdict{
	NeedMore: {DecodeError, "incomplete ClientHello"},
	OK:       {noAlert, "complete"},

	PlainHTTP:   {noAlert, "plain HTTP on a port for TLS"},
	ProxyHeader: {noAlert, "PROXY protocol header where a ClientHello belongs"},
	SSLv2:       {ProtocolVersion, "SSL 2.0 hello"},
	NotTLS:      {noAlert, "no TLS record"},

	AlertFirst:       {noAlert, "alert instead of a ClientHello"},
	UnexpectedRecord: {UnexpectedMessage, "record of another type before the ClientHello"},
	BadRecordVersion: {ProtocolVersion, "record of another protocol's version"},
	EmptyRecord:      {UnexpectedMessage, "empty record"},
	RecordTooLarge:   {RecordOverflow, "record of more than 16384 bytes"},
	Interleaved:      {UnexpectedMessage, "record of another type within the ClientHello"},
	NotHello:         {UnexpectedMessage, "handshake message other than ClientHello"},
	HelloTooLarge:    {HandshakeFailure, "ClientHello of more than 16384 bytes"},
	TrailingBytes:    {UnexpectedMessage, "bytes behind the ClientHello in its record"},

	BadLength:         {DecodeError, "ClientHello whose lengths do not add up"},
	BadVersion:        {ProtocolVersion, "legacy version below TLS 1.0"},
	BadSessionID:      {DecodeError, "session ID longer than 32 bytes"},
	BadSuites:         {DecodeError, "malformed list of cipher suites"},
	TooManySuites:     {HandshakeFailure, "more than 512 cipher suites"},
	BadCompression:    {IllegalParameter, "compression methods without null, or with others in TLS 1.3"},
	BadExtensions:     {DecodeError, "malformed block of extensions"},
	RepeatedExtension: {IllegalParameter, "extension that is there twice"},
	TooManyExtensions: {HandshakeFailure, "more than 128 extensions"},

	BadServerName:    {DecodeError, "malformed server name, or not exactly one"},
	InvalidName:      {IllegalParameter, "server name that is no host name"},
	BadProtocols:     {DecodeError, "malformed list of protocols (ALPN)"},
	TooManyProtocols: {HandshakeFailure, "more than 64 protocols (ALPN)"},
	BadVersions:      {DecodeError, "malformed list of supported versions"},
	BadGroups:        {DecodeError, "malformed list of groups"},
	BadSchemes:       {DecodeError, "malformed list of signature schemes"},
	TooManySchemes:   {HandshakeFailure, "more than 256 signature schemes"},
	BadKeyShares:     {DecodeError, "malformed list of key shares"},
	RepeatedKeyShare: {IllegalParameter, "two key shares for one group"},
	TooManyKeyShares: {HandshakeFailure, "more than 32 key shares"},
	BadPSK:           {DecodeError, "malformed pre-shared keys"},
	PSKNotLast:       {IllegalParameter, "extension behind the pre-shared keys"},
	BadEarlyData:     {DecodeError, "early data extension that is not empty"},
	BadECH:           {DecodeError, "malformed encrypted ClientHello"},
}

// String is the reason in a few words, for logs and error bodies. It names no byte of the hello.
func (c Code) String() string {
	if c >= codes {
		return "unknown fault"
	}
	return verdicts[c].reason
}

// Alert is the description of the fatal alert with which a hello of this fault is answered, before its connection is
// closed. ok is false when there is nobody who would understand one: PlainHTTP is best answered with a plain 400, the
// others with nothing.
func (c Code) Alert() (alert Alert, ok bool) {
	if c >= codes {
		return HandshakeFailure, true
	}
	alert = verdicts[c].alert
	return alert, alert != noAlert
}

// Fault reports whether c says that the hello is refused.
func (c Code) Fault() bool { return c > OK }
