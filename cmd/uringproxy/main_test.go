package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func call(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

// TestCalls: each call with its exit code, and what must be said, on the right stream.
func TestCalls(t *testing.T) {
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"", 2, "", "Commands:\n  run "},
		{"help", 0, "Commands:\n  run ", ""},
		{"-h", 0, "Commands:\n  run ", ""},
		{"--help", 0, "Commands:\n  run ", ""},
		{"help run", 0, "SIGHUP", ""},
		{"run --help", 0, "SIGHUP", ""},
		{"check -h", 0, "uringproxy check:", ""},
		{"help help", 0, "uringproxy help:", ""},
		{"help --help", 0, "Commands:", ""},
		{"help rnu", 2, "", `unknown command "rnu"; did you mean "run"?`},
		{"help run check", 2, "", "help takes one command"},
		{"version", 0, "uringproxy ", ""},
		{"--version", 0, "uringproxy ", ""},
		{"version now", 2, "", `unexpected argument "now"; see: uringproxy help version`},
		{"chekc", 2, "", `unknown command "chekc"; did you mean "check"?`},
		{"frobnicate", 2, "", `unknown command "frobnicate"; there are: run, check, explain, reload, `},
		{"--config x.toml", 2, "", "the command comes before its flags, as in: uringproxy run --config x.toml"},
		{"check", 2, "", "check needs --config FILE"},
		{"check --config", 2, "", "the flag --config needs a value; see: uringproxy help check"},
		{"check --confg x", 2, "", `unknown flag "--confg"; did you mean "--config"?`},
		{"check --verbose", 2, "", `unknown flag "--verbose"; there are: --config`},
		{"check x.toml", 2, "", `unexpected argument "x.toml"; did you mean --config x.toml?`},
		{"check config x", 2, "", `unexpected argument "config"; did you mean --config?`},
		{"check --config no/such.toml", 1, "", "no/such.toml: found no such file, expected a configuration file\n"},
		{"check --format xml --config x", 2, "", `invalid value "xml" for --format: choose one of text, json; see:`},
		{"check --config no/such.toml --format json", 1, `"message": "found no such file, expected a`, ""},
		{"check --config ../../examples/conf.d --offline", 0, "ok: 1 listener, 4 routes", ""},
		{"explain", 2, "", "explain needs --config FILE; see: uringproxy help explain"},
		{"explain --config x", 2, "", "explain takes one URL, and has 0; see: uringproxy help explain"},
		{"explain /a --config x /b", 2, "", "explain takes one URL, and has 2"},
		{"explain /a --lisener b", 2, "", `unknown flag "--lisener"; did you mean "--listener"?`},
		{"explain /a -h", 0, "uringproxy explain:", ""},
		{"explain /a --config no/such.toml", 1, "", "1 fault in no/such.toml"},
		{"explain ftp://a --config ../../examples/minimal.toml", 2, "", `read URL "ftp://a": the scheme is "ftp"`},
		{"explain /a --config ../../examples/minimal.toml --format json -X PUT", 0, `"method": "PUT"`, ""},
		{"run --engine foo", 2, "", `invalid value "foo" for --engine: choose one of auto, uring, epoll; see:`},
		{"run --tier T9", 2, "", `invalid value "T9" for --tier: choose one of auto, T1, T2, T3; see:`},
		{"run --shards 0", 2, "", `invalid value "0" for --shards: choose a number from 1 to 256; see:`},
		{"run --shards x", 2, "", `invalid value "x" for --shards: choose a number`},
		{"run --engin epoll", 2, "", `unknown flag "--engin"; did you mean "--engine"?`},
		{"run --config no/such.toml", 1, "", "1 fault in no/such.toml"},
		{"doctor --loud", 2, "", `unknown flag "--loud"`},
	} {
		code, stdout, stderr := call(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) ||
			(c.stdout == "") != (stdout == "") || (c.stderr == "") != (stderr == "") {
			t.Errorf("uringproxy %s: exit code %d, want %d\nstdout %q, want %q\nstderr %q, want %q",
				c.args, code, c.code, stdout, c.stdout, stderr, c.stderr)
		}
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.toml"), filepath.Join(dir, "bad.toml")
	const text = `[listeners.web]
address = ":8080"
[routes.main]
service = "app"
[services.app]
endpoints = ["http://127.0.0.1:3000", "http://127.0.0.1:3001"]
`
	write(t, good, text)
	write(t, bad, strings.NewReplacer(`"app"`, `"ap"`, "address", "addres").Replace(text))

	code, stdout, stderr := call("check", "--config", good)
	if code != 0 || stdout != "ok: 1 listener, 1 route, 1 service, 2 endpoints\n" || stderr != "" {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
	}

	write(t, good, text+"[routes.other]\nservice = \"app\"\n")
	warning := good + `:7:9: warning: routes.other: a route that no request reaches: route "main" (` + good +
		`:3) has the same conditions and goes before it (name: "main" before "other"); take one of them out, ` +
		"or give it other conditions or another priority [duplicate]\n    7 | [routes.other]\n      |         ^\n\n"
	code, stdout, stderr = call("check", "--config", good)
	if code != 0 || stdout != "ok: 1 listener, 2 routes, 1 service, 2 endpoints; 1 warning\n" || stderr != warning {
		t.Errorf("code %d, stdout %q, stderr %s", code, stdout, stderr)
	}
	code, stdout, stderr = call("check", "--strict", "--config", good)
	warning += "not ok: 1 listener, 2 routes, 1 service, 2 endpoints; 1 warning\n"
	if code != 1 || stdout != "" || stderr != warning {
		t.Errorf("code %d, stdout %q, stderr %s", code, stdout, stderr)
	}

	code, stdout, stderr = call("check", "--config", bad)
	want := strings.ReplaceAll(`FILE:1:12: listeners.web.address: found no address, expected an address such as `+
		`"127.0.0.1:8080", ":8080", "[::1]:8080" or "unix:/run/web.sock"
    1 | [listeners.web]
      |            ^

FILE:2:1: listeners.web.addres: found an unknown key, expected one of address, hsts, protocol, proxy_protocol, `+
		`redirect_https, tls, trusted_proxies; did you mean "address"?
    2 | addres = ":8080"
      | ^

FILE:4:11: routes.main.service: found "ap", which is no service, expected app; did you mean "app"?
    4 | service = "ap"
      |           ^

3 faults in FILE
`, "FILE", bad)
	if code != 1 || stdout != "" || stderr != want {
		t.Errorf("code %d, stdout %q, stderr\n%s\nwant\n%s", code, stdout, stderr, want)
	}
	if code, _, stderr := call("run", "--config", bad); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("run says something else: code %d, stderr\n%s", code, stderr)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestHelpFitsOneScreen: 80 columns and 30 lines, examples before anything else, and the exit codes.
func TestHelpFitsOneScreen(t *testing.T) {
	texts := map[string]string{"": overview()}
	for _, c := range commands() {
		texts[c.name] = c.help
	}
	for name, text := range texts {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		for _, line := range lines {
			if len(line) > 80 || strings.TrimRight(line, " \t") != line {
				t.Errorf("help %s: line %q", name, line)
			}
		}
		if first := "  uringproxy " + name; len(lines) > 30 || !strings.HasPrefix(lines[2], first) ||
			!strings.Contains(text, "Exit code") {
			t.Errorf("help %s has %d lines, third %q", name, len(lines), lines[2])
		}
	}
}

func TestVersionOfABuild(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	for want, info := range map[string]debug.BuildInfo{
		"devel":  {},
		"v1.2.3": {Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{revision}},
		"devel-0123456789ab": {
			Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{revision},
		},
		"devel-0123456789ab-dirty": {
			Settings: []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}},
		},
	} {
		if got := describeBuild(&info); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
