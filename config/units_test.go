package config

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "0B": 0, "1B": 1, "1KB": 1000, "64KiB": 65536, "64kib": 65536, "10MB": 10_000_000, "3 GiB": 3 << 30,
		"2TiB": 2 << 40, "9223372036854775807B": 1<<63 - 1,
	} {
		if got, ok := parseSize(s); !ok || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "1", "B", "KiB", "-1B", "1.5KiB", "1K", "9223372036854775807KiB", "1 000B", "+1B", "0x1B", "1_0B",
	} {
		if n, ok := parseSize(s); ok {
			t.Errorf("parseSize(%q) = %d", s, n)
		}
	}
	for _, n := range []int64{0, 1, 1000, 1024, 65535, 1 << 20, 3 << 30, 1 << 40, 1<<63 - 1} {
		if got, ok := parseSize(formatSize(n)); !ok || got != n {
			t.Errorf("%d is written %q and read %d", n, formatSize(n), got)
		}
	}
	for s, want := range map[string]string{
		"1048576": `write "1MiB"`, "10m": `write "10MiB"`, "8K": `write "8KiB"`, "240": `write "240B"`, "lots": "",
		"": "",
	} {
		if got := sizeHint(s); got != want {
			t.Errorf("sizeHint(%q) = %s, want %s", s, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "1m30s": 90 * time.Second, "1.5s": 1500 * time.Millisecond,
		"24h": 24 * time.Hour,
	} {
		if got, ok := parseDuration(s); !ok || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "1", "s", "-1s", "+1s", "1us", "1ns", "1 s", "1d", "forever", "99999999999h"} {
		if d, ok := parseDuration(s); ok {
			t.Errorf("parseDuration(%q) = %v", s, d)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s",
		3601 * time.Second: "1h0m1s", 10 * time.Millisecond: "10ms",
	} {
		got := formatDuration(d)
		if back, ok := parseDuration(got); got != want || !ok || back != d {
			t.Errorf("formatDuration(%v) = %q, want %q", d, got, want)
		}
	}
	for s, want := range map[string]string{
		"30": `write "30s"`, "5 seconds": `write "5s"`, "2min": `write "2m"`, "7d": `write "168h"`, "soon": "",
	} {
		if got := durationHint(s); got != want {
			t.Errorf("durationHint(%q) = %s, want %s", s, got, want)
		}
	}
}
