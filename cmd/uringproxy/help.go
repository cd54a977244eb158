package main

import (
	"fmt"
	"strings"
)

// overview is what "uringproxy help" prints.
func overview() string {
	var b strings.Builder
	b.WriteString(`uringproxy, a reverse proxy for Linux

  uringproxy run                         try it: a demo on http://127.0.0.1:8080
  uringproxy check --config my.toml      find every fault of a configuration
  uringproxy run --config my.toml        run your own

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.summary)
	}
	b.WriteString(`
"uringproxy help COMMAND" tells more. Errors go to the standard error.
Exit codes: 0 all well, 1 faults or failure, 2 a call that makes no sense.
`)
	return b.String()
}

const helpRun = `uringproxy run: start the proxy

  uringproxy run                                 a demo, with its own upstreams
  uringproxy run --config my.toml
  uringproxy run --config my.toml --engine epoll --shards 2

Flags, which go before what the configuration says:
  --config PATH    the configuration, a file or a directory of *.toml files;
                   may be repeated; without it, the built-in demo
  --engine NAME    auto (the best that works here), uring or epoll
  --tier NAME      auto, T1, T2 or T3: hold io_uring to the features of a
                   kernel from 5.19, 6.12 or 6.15 on; for tests
  --shards N       threads that serve; without it, one for each usable core

Signals:
  SIGTERM, SIGINT  stop accepting, finish running requests, end; a second
                   one ends at once
  SIGHUP           read the configuration again; if it is faulty, say why
                   and keep the old one
  SIGUSR1          open the access log again, after it was rotated

Exit codes: 0 ended as asked, 1 could not start or had to cut requests off,
2 a call that makes no sense.
`

const helpCheck = `uringproxy check: find what is wrong with a configuration

  uringproxy check --config my.toml && uringproxy reload
  uringproxy check --config my.toml --config conf.d --format json

Shows every fault, because of which "run" would refuse the configuration, with
the line and what was probably meant; or else warnings of what is accepted but
probably not meant: routes that no request reaches and which others keep them
from it, services without routes, names that do not resolve, and more. Nothing
is started. docs/check-and-explain.md lists all warnings.

Flags:
  --config PATH    the configuration, a file or a directory of *.toml files;
                   may be repeated
  --strict         warnings count as faults do
  --offline        look no names up, and at no token, certificate or key
  --format FORMAT  text or json, for editors and tests

Exit codes: 0 no fault, 1 faults, 2 a call that makes no sense.
`

const helpExplain = `uringproxy explain: say which route a request takes, and why

  uringproxy explain --config my.toml http://example.com/api/users
  uringproxy explain --config my.toml example.com/api -X POST -H 'X-Env: test'
  uringproxy explain --config my.toml /login --listener web --client-ip 10.0.0.9
  uringproxy explain --config my.toml --client-hello hello.bin
  uringproxy explain --config my.toml --listener pg --client-ip 10.0.0.9

Shows the request as rules see it, the route that gets it, those that fit but
come later, with what decided, and those that do not fit, with the condition
that fails; before that, on a listener with TLS, which tcp route takes the
connection, or the policy and the certificate that the client gets.

Flags:
  --config PATH    the configuration, a file or a directory; may be repeated
  --listener NAME  where the request comes in, if the URL leaves it open
  -X METHOD        GET unless said otherwise
  -H FIELD         a header field, 'Name: value'; may be repeated. Host goes
                   before the host of the URL
  --client-ip IP, --port PORT   the address that the client connects from, and
                   the port that it connects to, if it is not the listener's
  --sni NAME, --alpn PROTOCOL, --tls-version VERSION, --cipher-suite SUITE,
  --ja4 FINGERPRINT   what the client says by TLS
  --client-hello FILE   all of that from a ClientHello, in bytes or digits
  --client-cert NAME   a name in the client's certificate; may be repeated
  --route NAME     explain this route beside the winner; may be repeated
  --all            explain all routes, and not only the nearest
  --format FORMAT  text or json

Exit codes: 0, 1 a faulty configuration, 2 a call that makes no sense.
`

const helpReload = `uringproxy reload: have a running process read its configuration again

  uringproxy reload
  uringproxy reload --config my.toml
  uringproxy reload --admin unix:/run/uringproxy/admin.sock

Prints what is in force now. If the configuration is faulty, it shows every
fault, and what was in force before goes on serving. The process does the same
by itself when its files change, unless reload.watch is off, and on SIGHUP.

Flags:
  --config FILE    files and directories that the process runs: its admin
                   listener and token are those that they name
  --admin ADDRESS  the admin listener, such as 127.0.0.1:9901, which is the
                   default, or unix:/run/uringproxy/admin.sock
  --token-file FILE   the token, if it asks for one

Exit codes: 0 reloaded, 1 faults or nobody answers, 2 a call that makes no
sense.
`

const helpStatus = `uringproxy status: tell what a running process does

  uringproxy status
  uringproxy status --config my.toml
  uringproxy status --format json

Shows what is in force, what became of the last reload, what clients, upstreams
and shards do, and percentiles of all requests since the start. If the files
are not what is in force because they are faulty, it shows why, and the exit
code is 1.

Flags:
  --config FILE    files and directories that the process runs: its admin
                   listener and token are those that they name
  --admin ADDRESS  the admin listener, such as 127.0.0.1:9901, which is the
                   default, or unix:/run/uringproxy/admin.sock
  --token-file FILE   the token, if it asks for one
  --format FORMAT  text or json

Exit codes: 0 all well, 1 the last reload failed or nobody answers, 2 a call
that makes no sense.
`

const helpTop = `uringproxy top: watch a running process

  uringproxy top
  uringproxy top --config my.toml --interval 5s
  uringproxy top --once

Shows what a process does, as it does it: requests and errors in a second,
percentiles of the last interval, what a request costs the proxy and what the
upstream, and the same for each shard and each service. Written to a file or a
pipe it is a block of lines for each interval. docs/admin.md explains all
figures.

Keys: q leaves, s sorts by the next column, p pauses, space asks at once.

Flags:
  --interval TIME  how often, from 100ms to 1h; 1s unless said otherwise
  --once           print one interval, and end
  --config FILE    files and directories that the process runs: its admin
                   listener and token are those that they name
  --admin ADDRESS  the admin listener, such as 127.0.0.1:9901, which is the
                   default, or unix:/run/uringproxy/admin.sock
  --token-file FILE   the token, if it asks for one

Exit codes: 0 left, 1 nobody answers, 2 a call that makes no sense.
`

const helpSchema = `uringproxy schema: print a JSON schema of the configuration

  uringproxy schema > uringproxy.schema.json

Editors that use taplo complete, explain and check a configuration that begins
with the line

  #:schema ./uringproxy.schema.json

and "taplo lint" checks it on the command line. Whether what it refers to exists
is for "uringproxy check" to say.

Exit codes: 0, or 2 for a call that makes no sense.
`

const helpDoctor = `uringproxy doctor: say what this machine offers, and test it

  uringproxy doctor

Names every kernel feature that uringproxy can use, whether it is there, what
it is used for, and which kernel brings it; the engine that "run" would choose
and why; limits and settings, with advice; and the result of a self-test of
each engine on real sockets. It changes nothing.

Exit codes: 0 uringproxy can run here, 1 it cannot, 2 a call that makes no
sense.
`

const helpVersion = `uringproxy version: print the version

  uringproxy version

Exit code: 0.
`

const helpHelp = `uringproxy help: explain a command

  uringproxy help
  uringproxy help run

Exit codes: 0, or 2 for a command that does not exist.
`

func runHelp(env *environment, args []string) int {
	if len(args) > 1 {
		return env.usage("help takes one command; see: uringproxy help")
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(env.stdout, overview())
		return exitOK
	}
	c, ok := find(args[0])
	if !ok {
		return env.unknown("command", args[0], names())
	}
	fmt.Fprint(env.stdout, c.help)
	return exitOK
}
