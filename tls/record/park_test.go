package record

import (
	"bytes"
	"testing"
)

// TestPark has both ends let their ciphers go at any time: nothing changes but the memory.
func TestPark(t *testing.T) {
	forSuites(t, func(t *testing.T, client, server *Layer) {
		message := random(3000)
		for i := range 40 {
			from, to := client, server
			if i%2 == 1 {
				from, to = server, client
			}
			if i%3 == 0 {
				from.Park()
				from.Park()
			}
			if i%5 == 0 {
				to.Park()
			}
			if from.write.form == form13 && i%7 == 0 {
				from.owed = true // a key update goes first
			}
			b, took, refused := from.SealTo(make([]byte, 0, 8192), [][]byte{message}, 1)
			if refused != Sealed || took != len(message) {
				t.Fatalf("message %d: %d bytes sealed, %v", i, took, refused)
			}
			var got []byte
			for len(b) > 0 {
				if i%4 == 0 {
					to.Park()
				}
				r := to.Open(b)
				if r.Kind != Data && r.Kind != Quiet {
					t.Fatalf("message %d: %v %v", i, r.Kind, r.Alert)
				}
				got = append(got, b[r.Off:r.Off+r.Len]...)
				b = b[r.N:]
			}
			if !bytes.Equal(got, message) {
				t.Fatalf("message %d is another one", i)
			}
		}
		client.Wipe()
		client.Park()
		if _, _, refused := client.SealTo(make([]byte, 0, 100), [][]byte{{1}}, 1); refused == Sealed {
			t.Error("sealed without a key")
		}
	})
}
