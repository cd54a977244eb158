package alert

import (
	"bytes"
	"testing"
)

func TestNames(t *testing.T) {
	for a, want := range map[Alert]string{
		CloseNotify: "close_notify", NoApplicationProtocol: "no_application_protocol", 7: "alert 7", 255: "alert 255",
	} {
		if got := a.String(); got != want {
			t.Errorf("alert %d is called %q, want %q", uint8(a), got, want)
		}
	}
}

func TestRecord(t *testing.T) {
	room := make([]byte, 0, 2*RecordLen)
	got := AppendRecord(AppendRecord(room, HandshakeFailure), CloseNotify)
	want := []byte{21, 3, 3, 0, 2, 2, 40, 21, 3, 3, 0, 2, 1, 0}
	if !bytes.Equal(got, want) {
		t.Errorf("records % x, want % x", got, want)
	}
	if n := testing.AllocsPerRun(10, func() { AppendRecord(room, InternalError) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
