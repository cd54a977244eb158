package hugepage

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// TestCollapse: what is in the heap is in large pages then, and still what it was.
func TestCollapse(t *testing.T) {
	data := make([]byte, 32*Size)
	for i := range data {
		data[i] = byte(i * 7)
	}
	made, failed := Collapse()
	t.Logf("%d large pages, %d not made, %d MiB held", made, failed, held()>>20)
	if made > 0 && held() < Size {
		t.Errorf("%d large pages made, %d bytes held", made, held())
	}
	for i := range data {
		if data[i] != byte(i*7) {
			t.Fatalf("byte %d has changed", i)
		}
	}
	runtime.KeepAlive(data)
}

// held is how much memory of this process lies in large pages, in bytes.
func held() int64 {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "AnonHugePages: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
