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
		code int
		says string
		last string
	}{
		{[]string{"--results", kept(t, good())}, 0, "0 fell short", "gate: passed"},
		{[]string{"--results", kept(t, good()), "--strict"}, 1, "0 fell short", "gate: not measured in rows 11"},
		{[]string{"--results", kept(t, bad)}, 1, "row 4b (http1-1m / traefik): 0.860 (0.860 to 0.860), limit <= 0.85",
			"gate: fell short in rows 4b"},
		{[]string{"--results", kept(t, bad), "--match", worse, "--strict"}, 1, "row 11 (match among 1 routes, p99)",
			"gate: fell short in rows 4b, 11; not measured in rows 11"},
		{[]string{"--results", kept(t, &result.Run{Version: "v"})}, 2, "", "gate: nothing measured"},
		{[]string{"--results", "nowhere.json"}, 2, "", "gate: nothing measured"},
		{[]string{"--faster"}, 2, "", "gate: nothing measured"},
	} {
		var out bytes.Buffer
		code := finish(run(context.Background(), tc.args, &out, &bytes.Buffer{}), &out, &bytes.Buffer{})
		got := "\n" + out.String()
		if code != tc.code || !strings.Contains(got, tc.says) || !strings.HasSuffix(got, "\n"+tc.last+"\n") {
			t.Errorf("%v: code %d, expected %d, %q and at the end %q in%s", tc.args, code, tc.code, tc.says, tc.last,
				got)
		}
	}
}

// Help is no outcome.
func TestHelp(t *testing.T) {
	var out, progress bytes.Buffer
	code := finish(run(context.Background(), []string{"--help"}, &out, &progress), &out, &progress)
	if code != 0 || out.Len() > 0 || progress.String() != help {
		t.Errorf("code %d, %q, %q", code, &out, &progress)
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
		if err == nil || errors.As(err, new(closed)) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: %v, expected one that says %q", tc.args, err, tc.says)
		}
	}
}
