package main

import (
	"strings"
	"testing"
)

func TestDoctorTellsOfTLS(t *testing.T) {
	code, stdout, stderr := call("doctor")
	for _, want := range []string{
		"\nTLS: ✓ records in the shards", "\n     TLS by the kernel (kTLS): this kernel has ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("code %d, no %q in\n%s\n%s", code, want, stdout, stderr)
		}
	}
}
