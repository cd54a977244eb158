package record

import "strconv"

// Alert is the description of an alert (RFC 8446, section 6).
type Alert uint8

const (
	AlertCloseNotify       Alert = 0
	AlertUnexpectedMessage Alert = 10
	AlertBadRecordMAC      Alert = 20
	AlertRecordOverflow    Alert = 22
	AlertIllegalParameter  Alert = 47
	AlertDecodeError       Alert = 50
	AlertInternalError     Alert = 80
	AlertUserCanceled      Alert = 90
	AlertNoRenegotiation   Alert = 100 // TLS 1.2 only
)

// none stands for "no fault" where a function answers with the alert to send: close_notify is no fault.
const none = AlertCloseNotify

// The levels of RFC 5246, section 7.2. TLS 1.3 sends them and ignores them.
const (
	levelWarning = 1
	levelFatal   = 2
)

func (a Alert) level() byte {
	if a == AlertCloseNotify || a == AlertUserCanceled || a == AlertNoRenegotiation {
		return levelWarning
	}
	return levelFatal
}

// String is the alert's name in the RFCs, or its number for alerts that only a handshake sends.
func (a Alert) String() string {
	switch a {
	case AlertCloseNotify:
		return "close_notify"
	case AlertUnexpectedMessage:
		return "unexpected_message"
	case AlertBadRecordMAC:
		return "bad_record_mac"
	case AlertRecordOverflow:
		return "record_overflow"
	case AlertIllegalParameter:
		return "illegal_parameter"
	case AlertDecodeError:
		return "decode_error"
	case AlertInternalError:
		return "internal_error"
	case AlertUserCanceled:
		return "user_canceled"
	case AlertNoRenegotiation:
		return "no_renegotiation"
	}
	return "alert " + strconv.Itoa(int(a))
}
