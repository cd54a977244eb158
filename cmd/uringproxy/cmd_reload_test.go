package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/admin"
)

func faulty() *made {
	return &made{refused: &admin.Reload{Trigger: "watch", Error: "3 faults in the configuration", FaultsFound: 3,
		Faults: []admin.Fault{{Text: "my.toml:1:1: no", Excerpt: "    1 | x\n      | ^\n"}}}}
}

func TestReload(t *testing.T) {
	code, stdout, stderr := call("reload", "--admin", serve(t, &made{}))
	want := "reloaded in 3ms: generation 4 of my.toml, 4 listeners, 12 routes, 2 tcp routes, 1 udp route, 1 service\n" +
		"waits for the next start: engine.pin, engine.shards\n"
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("code %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = call("reload", "--admin", serve(t, faulty()))
	want = "my.toml:1:1: no\n    1 | x\n      | ^\n\nand 2 more\n" +
		"not reloaded: 3 faults in the configuration; generation 4 of my.toml goes on serving\n"
	if code != 1 || stdout != "" || stderr != want {
		t.Errorf("code %d\n%s\n%s", code, stdout, stderr)
	}
}

const healthy = `uringproxy v1.2.3, process 77, serving for 1h0m0s

engine     uring T3, 2 shards
config     my.toml, generation 4, in force for 1m1s
           4 listeners, 12 routes, 2 tcp routes, 1 udp route, 1 service
listeners  web on 0.0.0.0:80
           in on unix:/run/in.sock
           pg on 0.0.0.0:5432, tcp
           dns on 0.0.0.0:53, udp
tls        1 listener, 5 connected; 120 handshakes, 80 by ticket, 3 failed, 2 running
           handshakes p50 1.20ms, p90 1.50ms, p99 9.00ms, p99.9 9.00ms, max 9.50ms
certs      www.example.com example.com: 9 days left, certs/example.crt
             expires soon, on 2026-11-10 12:00 UTC: renew it
           *.example.org: 80 days left, certs/org.crt
reloads    5, 1 failed; the last one done 59m0s ago by api; the files are watched
waiting    engine.pin, engine.shards: changed, and in force from the next start on
clients    9 connected, 100 in all, 2 refused
requests   3 running, 1000 finished, 1 error
duration   p50 812µs, p90 1.10ms, p99 2.10ms, p99.9 12.3ms, max 1.50s
own time   p50 7.10µs, p90 9.00µs, p99 20.0µs, p99.9 100µs, max 1.00ms
streams    12 open, 340 in all, 3 broken; of 1 client the first bytes are awaited
upgrades   5 open, 20 in all, 0 broken
moved      1.23GiB: 2 % copied, 16 % in bulk, 81 % spliced; 4 of 16 pipes in use
udp        7 sessions open, 99 in all, 0 broken; datagrams: 1000 from clients, 990 to them, 10 dropped
upstreams  7 connections, 6 idle
shards     0: 5 connected, 600 requests; 2.50 events a turn, 4.00 system calls a request, buffers 80.0KiB of 64.0MiB
           1: 4 connected, 400 requests; 1.50 events a turn, 4.00 system calls a request, buffers 0B of 64.0MiB
snapshots  1 ? in use by shard
`

func TestStatus(t *testing.T) {
	address := serve(t, &made{})
	if code, stdout, stderr := call("status", "--admin", address); code != 0 || stdout != healthy || stderr != "" {
		t.Errorf("code %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, _ := call("status", "--admin", address, "--format", "json")
	if code != 0 || !strings.Contains(stdout, "\n  \"pid\": 77,\n") {
		t.Errorf("code %d\n%s", code, stdout)
	}
	want := strings.Replace(healthy, "done 59m0s ago by api", "FAILED 3s ago by watch", 1) +
		"\nNOT IN FORCE is what the files say: the reload 3s ago failed, generation 4 goes on serving\n\n" +
		"my.toml:1:1: no\n    1 | x\n      | ^\n\nand 2 more\n"
	address = serve(t, faulty())
	if code, stdout, _ := call("status", "--admin", address); code != 1 || stdout != want {
		t.Errorf("code %d\n%s", code, stdout)
	}
	if code, _, _ := call("status", "--admin", address, "--format", "json"); code != 1 {
		t.Errorf("code %d", code)
	}
}

// Where the process answers is said by the command line, the configuration or nobody.
func TestWhichProcess(t *testing.T) {
	dir := t.TempDir()
	rest := "[listeners.web]\naddress = \":80\"\n[routes.a]\nservice = \"a\"\n[services.a]\nendpoints = [\"unix:/a\"]\n"
	config := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	address := serve(t, &made{})
	found := config("found.toml", "[admin]\naddress = \""+address+"\"\n"+rest)
	broken := config("broken.toml", "[admin]\naddress = \""+address+"\"\n[routes.a]\nservice = \"gone\"\n")
	off := config("off.toml", "[admin]\naddress = \"off\"\n"+rest)
	gone := config("gone.toml", "[admin]\naddress = \"unix:"+dir+"/gone.sock\"\n"+rest)
	for _, tt := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"--config", found}, 0, ""},
		{[]string{"--config", broken}, 0, ""},
		{[]string{"--config", off, "--admin", address}, 0, ""},
		{[]string{"--config", off}, 1, `turns the admin listener off`},
		{[]string{"--config", gone}, 1, "/gone.sock: no such file or directory; is uringproxy running?"},
		{[]string{"--admin", "nonsense"}, 2, `invalid value "nonsense" for --admin: "nonsense" is no address such as`},
		{[]string{"now"}, 2, `unexpected argument "now"`},
	} {
		for _, command := range []string{"reload", "status"} {
			code, _, stderr := call(append([]string{command}, tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") {
				t.Errorf("%s %q: code %d, %s", command, tt.args, code, stderr)
			}
		}
	}
}
