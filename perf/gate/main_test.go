package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/perf/report"
	"github.com/uringproxy/uringproxy/perf/result"
)

// kept writes a result as uringproxy bench --json does.
func kept(t *testing.T, r *result.Run) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "result.json")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := report.JSON(f, r); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestKeptResults(t *testing.T) {
	bad := good()
	cellOf(bad, large, uring).Ratios["traefik"] = exactly(0.86)
	worse := filepath.Join(t.TempDir(), "match.txt")
	write(t, worse, "BenchmarkMatch/hosts/1-2 1 5 ns/op 5 p50-ns 1000 p99-ns\n")
	for _, tc := range []struct {
		args []string
		err  error
		says string
	}{
		{[]string{"--results", kept(t, good())}, nil, "0 fell short"},
		{[]string{"--results", kept(t, bad)}, errShort,
			"row 4b (http1-1m / traefik): 0.860 (0.860 to 0.860), limit <= 0.85"},
		{[]string{"--results", kept(t, good()), "--match", worse}, errShort, "row 11 (match among 1 routes, p99)"},
	} {
		var out bytes.Buffer
		err := run(context.Background(), tc.args, &out, &bytes.Buffer{})
		if !errors.Is(err, tc.err) || !strings.Contains(out.String(), tc.says) {
			t.Errorf("%v: %v, expected %q in\n%s", tc.args, err, tc.says, &out)
		}
	}
}

func TestBadUse(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.json")
	write(t, broken, "{")
	for _, tc := range []struct {
		args []string
		says string
	}{
		{[]string{"--results", "nowhere.json"}, "nowhere.json"},
		{[]string{"--results", broken}, "broken.json"},
		{[]string{"--match", "m.txt"}, "m.txt"},
		{[]string{"faster"}, `"faster"`},
		{[]string{"--rounds", "many"}, "many"},
		{[]string{"--results", kept(t, &result.Run{Version: "v"})}, "no figure that may be quoted"},
	} {
		err := run(context.Background(), tc.args, &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || errors.Is(err, errShort) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: %v, expected one that says %q", tc.args, err, tc.says)
		}
	}
}
