package hugepage

import (
	"runtime"
	"testing"
)

// TestCollapse: what is in the heap is in large pages then, and still what it was.
func TestCollapse(t *testing.T) {
	data := make([]byte, 32*Size)
	for i := range data {
		data[i] = byte(i * 7)
	}
	made, failed := Collapse()
	t.Logf("%d large pages, %d not made, %d MiB held", made, failed, Held()>>20)
	if made > 0 && Held() < Size {
		t.Errorf("%d large pages made, %d bytes held", made, Held())
	}
	for i := range data {
		if data[i] != byte(i*7) {
			t.Fatalf("byte %d has changed", i)
		}
	}
	runtime.KeepAlive(data)
}
