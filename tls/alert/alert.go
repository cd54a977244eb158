// Package alert has the alerts of TLS: their numbers, their names, and how one looks before there are keys.
//
// It is pure and knows no connection. It may import the standard library's strconv only, and is imported by whoever
// says or hears an alert: tls/hello, tls/record, tls/handshake and proxy.
package alert

import "strconv"

// Alert is the description of an alert (RFC 8446, section 6; registry "TLS Alerts").
type Alert uint8

const (
	CloseNotify            Alert = 0
	UnexpectedMessage      Alert = 10
	BadRecordMAC           Alert = 20
	RecordOverflow         Alert = 22
	HandshakeFailure       Alert = 40
	BadCertificate         Alert = 42
	UnsupportedCertificate Alert = 43
	CertificateRevoked     Alert = 44
	CertificateExpired     Alert = 45
	CertificateUnknown     Alert = 46
	IllegalParameter       Alert = 47
	UnknownCA              Alert = 48
	AccessDenied           Alert = 49
	DecodeError            Alert = 50
	DecryptError           Alert = 51
	ProtocolVersion        Alert = 70
	InsufficientSecurity   Alert = 71
	InternalError          Alert = 80
	InappropriateFallback  Alert = 86
	UserCanceled           Alert = 90
	NoRenegotiation        Alert = 100 // TLS 1.2 only
	MissingExtension       Alert = 109
	UnsupportedExtension   Alert = 110
	UnrecognizedName       Alert = 112
	BadCertificateStatus   Alert = 113
	UnknownPSKIdentity     Alert = 115
	CertificateRequired    Alert = 116
	NoApplicationProtocol  Alert = 120
	EncryptedHelloRequired Alert = 121
)

var names = [256]string{
	CloseNotify: "close_notify", UnexpectedMessage: "unexpected_message", BadRecordMAC: "bad_record_mac",
	RecordOverflow: "record_overflow", HandshakeFailure: "handshake_failure", BadCertificate: "bad_certificate",
	UnsupportedCertificate: "unsupported_certificate", CertificateRevoked: "certificate_revoked",
	CertificateExpired: "certificate_expired", CertificateUnknown: "certificate_unknown",
	IllegalParameter: "illegal_parameter", UnknownCA: "unknown_ca", AccessDenied: "access_denied",
	DecodeError: "decode_error", DecryptError: "decrypt_error", ProtocolVersion: "protocol_version",
	InsufficientSecurity: "insufficient_security", InternalError: "internal_error",
	InappropriateFallback: "inappropriate_fallback", UserCanceled: "user_canceled",
	NoRenegotiation: "no_renegotiation", MissingExtension: "missing_extension",
	UnsupportedExtension: "unsupported_extension", UnrecognizedName: "unrecognized_name",
	BadCertificateStatus: "bad_certificate_status_response", UnknownPSKIdentity: "unknown_psk_identity",
	CertificateRequired: "certificate_required", NoApplicationProtocol: "no_application_protocol",
	EncryptedHelloRequired: "ech_required",
}

// String is the alert's name in the RFCs, or its number.
func (a Alert) String() string {
	if name := names[a]; name != "" {
		return name
	}
	return "alert " + strconv.Itoa(int(a))
}

// The levels of RFC 5246, section 7.2. TLS 1.3 sends them and ignores them.
const (
	Warning = 1
	Fatal   = 2
)

// Level is the level that the alert is sent with.
func (a Alert) Level() byte {
	if a == CloseNotify || a == UserCanceled || a == NoRenegotiation {
		return Warning
	}
	return Fatal
}

// RecordLen is the length of an alert in a record of its own, before there are keys.
const RecordLen = 7

// AppendRecord appends the alert as a plaintext record: the answer to a hello that no handshake is begun with. The
// record's version is the one that clients of all versions accept (RFC 8446, section 5.1).
func AppendRecord(dst []byte, a Alert) []byte {
	const recordType = 21
	return append(dst, recordType, 3, 3, 0, 2, a.Level(), byte(a))
}
