package inspect

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/config"
)

var update = flag.Bool("update", false, "write what comes out into testdata, to be looked at")

// golden compares text with a file.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s should say\n%s\nbut it is\n%s", file, want, text)
	}
}

// load reads a file of testdata under its short name.
func load(t *testing.T, file string) *config.Config {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, faults := config.Parse(filepath.Base(file), text)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return c
}

// resolver knows one name.
type resolver struct{}

func (resolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host == "known.example" {
		return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// silent answers when nobody waits any more.
type silent struct{}

func (silent) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A name server that does not answer is no reason to wait for long.
func TestNamesAreBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := Check(ctx, load(t, "testdata/check/rest.toml"), Options{Resolver: silent{}})
	n := 0
	for i := range r.Warnings {
		w := &r.Warnings[i]
		if w.Code == UnresolvedName && strings.Contains(w.Message, "no answer from the name server") {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d of 3 names: %+v", n, r.Warnings)
	}
}

// Each configuration in testdata/check has a file with all that is said of it.
func TestCheck(t *testing.T) {
	files, err := filepath.Glob("testdata/check/*.toml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		r := Check(context.Background(), load(t, file), Options{Machine: Machine{1024}, Resolver: resolver{}})
		var b strings.Builder
		for i := range r.Warnings {
			b.WriteString(r.Warnings[i].String() + "\n" + r.Warnings[i].Excerpt())
		}
		golden(t, strings.TrimSuffix(file, "toml")+"txt", b.String())
		if !r.OK || r.Counts.Warnings != len(r.Warnings) || len(r.Faults) > 0 {
			t.Errorf("%s: %+v %v", file, r.Counts, r.Faults)
		}
	}
}

// What is accepted here is compiled by a process: a rule with too many alternatives is a fault.
func TestCheckCompiles(t *testing.T) {
	hosts := make([]string, 300)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("`h%d.com`", i)
	}
	text := "[listeners.web]\naddress = \":1\"\n[services.app]\nendpoints = \"http://10.0.0.1\"\n[routes.big]\n" +
		"service = \"app\"\nrule = '''Host(" + strings.Join(hosts, ", ") + ") &&\n Path(" +
		strings.ReplaceAll(strings.Join(hosts, ", "), "`h", "`/") + ")'''\n"
	r := Check(context.Background(), parse(t, text), Options{})
	if r.OK || len(r.Faults) != 1 || r.Faults[0].Line != 7 || !strings.HasPrefix(r.Faults[0].String(),
		"my.toml:7:8: routes.big.rule: found a rule that cannot be compiled, expected a smaller one; ") {
		t.Errorf("%+v", r)
	}
}

func TestMachine(t *testing.T) {
	const root, user = "Name:\tx\nCapEff:\t000001ffffffffff\n", "Name:\tx\nCapEff:\t0000000000000000\n"
	for _, tt := range []struct {
		status, start string
		want          int
	}{
		{root, "1024\n", 0}, {user, "1024\n", 1024}, {user, "0\n", 0}, {"CapEff:\t0000000000000400\n", "1024\n", 0},
		{"", "1024\n", 0}, {user, "", 0}, {"CapEff: x\n", "1024\n", 0},
	} {
		if got := machineOf(tt.status, tt.start); got.FirstPort != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.status, tt.start, got.FirstPort, tt.want)
		}
	}
	if got := ThisMachine(); got.FirstPort < 0 {
		t.Errorf("this machine: %d", got.FirstPort)
	}
}

// The examples are what people begin with: they have nothing that is warned of.
func TestExamplesAreClean(t *testing.T) {
	files, err := filepath.Glob("../examples/*.toml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, path := range append(files, "../examples/conf.d") {
		c, faults := config.Load([]string{path})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		r := Check(context.Background(), c, Options{})
		for i := range r.Warnings {
			t.Error(&r.Warnings[i])
		}
	}
}

// Names of fields and codes are for programs: they stay.
func TestCheckJSON(t *testing.T) {
	c := parse(t, "[listeners.web]\naddress = \":1\"\n[services.app]\nendpoints = \"http://10.0.0.1\"\n"+
		"[routes.a]\nservice = \"app\"\n[routes.b]\nservice = \"app\"\n")
	text, err := json.MarshalIndent(Check(context.Background(), c, Options{}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/warnings.json", string(text)+"\n")
	_, faults := config.Parse("my.toml", []byte("[listeners.web]\naddres = \":1\"\n"))
	if text, err = json.MarshalIndent(Refused(faults), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/faults.json", string(text)+"\n")
}

// However much there is to say, it is said in bounded space and time.
func TestManyFindings(t *testing.T) {
	r := Check(context.Background(), build(t, "duplicates", 3000), Options{})
	if len(r.Warnings) != maxFindings || r.Counts.Warnings != 2999 {
		t.Errorf("%d listed, %d counted", len(r.Warnings), r.Counts.Warnings)
	}
}

// Routes that have much in common are told apart by what one of them asks for, and what is not is admitted.
func TestCrowds(t *testing.T) {
	for shape, want := range map[string]int{"headers": 0, "names": 0, "networks": 0, "priorities": 0, "prefixes": 0} {
		if r := Check(context.Background(), build(t, shape, 3000), Options{}); r.Counts.Warnings != want {
			t.Errorf("%s: %d warnings, the first: %s", shape, r.Counts.Warnings, &r.Warnings[0])
		}
	}
	r := Check(context.Background(), build(t, "negations", 1500), Options{})
	if len(r.Warnings) != 1 || r.Warnings[0].Code != ComparedInParts {
		t.Errorf("%+v", r.Warnings)
	}
}
