package hello

import "github.com/uringproxy/uringproxy/tls/alert"

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

// noAlert stands for "answered with nothing".
const noAlert = alert.CloseNotify

type verdict struct {
	alert  alert.Alert
	reason string
}

var verdicts = [codes]verdict{
	NeedMore: {alert.DecodeError, "incomplete ClientHello"},
	OK:       {noAlert, "complete"},

	PlainHTTP:   {noAlert, "plain HTTP on a port for TLS"},
	ProxyHeader: {noAlert, "PROXY protocol header where a ClientHello belongs"},
	SSLv2:       {alert.ProtocolVersion, "SSL 2.0 hello"},
	NotTLS:      {noAlert, "no TLS record"},

	AlertFirst:       {noAlert, "alert instead of a ClientHello"},
	UnexpectedRecord: {alert.UnexpectedMessage, "record of another type before the ClientHello"},
	BadRecordVersion: {alert.ProtocolVersion, "record of another protocol's version"},
	EmptyRecord:      {alert.UnexpectedMessage, "empty record"},
	RecordTooLarge:   {alert.RecordOverflow, "record of more than 16384 bytes"},
	Interleaved:      {alert.UnexpectedMessage, "record of another type within the ClientHello"},
	NotHello:         {alert.UnexpectedMessage, "handshake message other than ClientHello"},
	HelloTooLarge:    {alert.HandshakeFailure, "ClientHello of more than 16384 bytes"},
	TrailingBytes:    {alert.UnexpectedMessage, "bytes behind the ClientHello in its record"},

	BadLength:         {alert.DecodeError, "ClientHello whose lengths do not add up"},
	BadVersion:        {alert.ProtocolVersion, "legacy version below TLS 1.0"},
	BadSessionID:      {alert.DecodeError, "session ID longer than 32 bytes"},
	BadSuites:         {alert.DecodeError, "malformed list of cipher suites"},
	TooManySuites:     {alert.HandshakeFailure, "more than 512 cipher suites"},
	BadCompression:    {alert.IllegalParameter, "compression methods without null, or with others in TLS 1.3"},
	BadExtensions:     {alert.DecodeError, "malformed block of extensions"},
	RepeatedExtension: {alert.IllegalParameter, "extension that is there twice"},
	TooManyExtensions: {alert.HandshakeFailure, "more than 128 extensions"},

	BadServerName:    {alert.DecodeError, "malformed server name, or not exactly one"},
	InvalidName:      {alert.IllegalParameter, "server name that is no host name"},
	BadProtocols:     {alert.DecodeError, "malformed list of protocols (ALPN)"},
	TooManyProtocols: {alert.HandshakeFailure, "more than 64 protocols (ALPN)"},
	BadVersions:      {alert.DecodeError, "malformed list of supported versions"},
	BadGroups:        {alert.DecodeError, "malformed list of groups"},
	BadSchemes:       {alert.DecodeError, "malformed list of signature schemes"},
	TooManySchemes:   {alert.HandshakeFailure, "more than 256 signature schemes"},
	BadKeyShares:     {alert.DecodeError, "malformed list of key shares"},
	RepeatedKeyShare: {alert.IllegalParameter, "two key shares for one group"},
	TooManyKeyShares: {alert.HandshakeFailure, "more than 32 key shares"},
	BadPSK:           {alert.DecodeError, "malformed pre-shared keys"},
	PSKNotLast:       {alert.IllegalParameter, "extension behind the pre-shared keys"},
	BadEarlyData:     {alert.DecodeError, "early data extension that is not empty"},
	BadECH:           {alert.DecodeError, "malformed encrypted ClientHello"},
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
func (c Code) Alert() (a alert.Alert, ok bool) {
	if c >= codes {
		return alert.HandshakeFailure, true
	}
	a = verdicts[c].alert
	return a, a != noAlert
}

// Fault reports whether c says that the hello is refused.
func (c Code) Fault() bool { return c > OK }
