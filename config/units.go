package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// Patterns of what parseSize and parseDuration take, for schemas.
const (
	sizePattern     = `^(0|[0-9]+ *([kKmMgGtT][iI]?)?[bB])$`
	durationPattern = `^(0|([0-9]+(\.[0-9]*)?(h|m|s|ms))+)$`
)

// parseSize reads a whole number with a unit: B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (powers of
// 1024), in any case. "0" needs no unit.
func parseSize(s string) (int64, bool) {
	if s == "0" {
		return 0, true
	}
	for _, u := range sizeUnits {
		if len(s) > len(u.name) && strings.EqualFold(s[len(s)-len(u.name):], u.name) {
			digits := strings.TrimRight(s[:len(s)-len(u.name)], " ")
			n, err := strconv.ParseUint(digits, 10, 63)
			if err != nil || n > uint64(math.MaxInt64/u.bytes) {
				return 0, false
			}
			return int64(n) * u.bytes, true
		}
	}
	return 0, false
}

// formatSize writes n bytes in the greatest power of 1024 that divides it.
func formatSize(n int64) string {
	if n == 0 {
		return "0"
	}
	for _, u := range sizeUnits[:4] {
		if n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}

// sizeHint tells how to write what is not quite a size, if that can be told.
func sizeHint(s string) string {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 63); err == nil {
		return "write " + strconv.Quote(formatSize(int64(n)))
	}
	digits := strings.TrimRight(s, "kKmMgGtT")
	if _, err := strconv.ParseUint(digits, 10, 63); err == nil && len(s) == len(digits)+1 {
		return "write " + strconv.Quote(digits+strings.ToUpper(s[len(digits):])+"iB")
	}
	return ""
}

// parseDuration reads whole or decimal numbers with the units h, m, s and ms. "0" needs no unit. Finer values than a
// millisecond are refused: timers do not tick faster.
func parseDuration(s string) (time.Duration, bool) {
	if s == "0" {
		return 0, true
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d%time.Millisecond != 0 || strings.ContainsAny(s, "+-") {
		return 0, false
	}
	return d, true
}

// formatDuration writes d as parseDuration reads it, without units that are zero.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func durationHint(s string) string {
	s = strings.TrimSpace(s)
	if _, err := strconv.ParseUint(s, 10, 31); err == nil {
		return "write " + strconv.Quote(s+"s")
	}
	for _, u := range []struct{ long, short string }{
		{"milliseconds", "ms"}, {"millisecond", "ms"}, {"seconds", "s"}, {"second", "s"}, {"secs", "s"}, {"sec", "s"},
		{"minutes", "m"}, {"minute", "m"}, {"mins", "m"}, {"min", "m"}, {"hours", "h"}, {"hour", "h"},
	} {
		if digits, ok := strings.CutSuffix(s, u.long); ok {
			if fixed := strings.TrimSpace(digits) + u.short; valid(fixed) {
				return "write " + strconv.Quote(fixed)
			}
		}
	}
	if digits, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return "write " + strconv.Quote(fmt.Sprintf("%dh", n*24))
		}
	}
	return ""
}

func valid(duration string) bool {
	_, ok := parseDuration(duration)
	return ok
}
