package probe

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write KERNEL_REQUIREMENTS.md anew")

const requirementsPath = "../../KERNEL_REQUIREMENTS.md"

func TestKernelRequirements(t *testing.T) {
	want := requirements()
	if *update {
		if err := os.WriteFile(requirementsPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(requirementsPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("KERNEL_REQUIREMENTS.md differs from the tables of engine/probe; write it anew with\n" +
			"\tgo test ./engine/probe -run KernelRequirements -update")
	}
}

// requirements is the text of KERNEL_REQUIREMENTS.md.
func requirements() string {
	var b strings.Builder
	b.WriteString(`# Kernel requirements

<!-- Written by "go test ./engine/probe -run KernelRequirements -update"; do not edit. -->

uringproxy runs on any Linux that has epoll, and gets faster with what the kernel offers. At start it tries each
feature below, runs a self-test on real sockets with the best tier it found, and logs what it chose and why. No
version number decides: kernels are patched by their distributors, and containers forbid what the kernel could do.
"uringproxy doctor" shows the same tables for the machine at hand, with the commands that improve it.

## Tiers

| tier | engine | least kernel | adds |
|---|---|---|---|
`)
	for tier := T0; tier <= T3; tier++ {
		name, adds := tierText(tier)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", tier, name, leastKernel(tier), adds)
	}
	b.WriteString(`
A tier is forced with "--tier"; without it the highest that passes its self-test is used. We recommend Linux 6.1 or
later, where tier T1 has completions in batches and multishot receives too, and best 6.12 or later.

## Features

"since" is the first release of Linux with the feature. A feature without a tier is used where it is there.

| feature | tier | since | used for |
|---|---|---|---|
`)
	for _, f := range features {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Name, f.Tier, f.Since, f.Use)
	}
	b.WriteString(`
## Limits and settings

None of these is needed to start; a busy host wants them.

| name | what it bounds | wanted | command |
|---|---|---|---|
`)
	for _, s := range settings {
		fmt.Fprintf(&b, "| %s | %s | %s | `%s`", s.Name, s.Use, s.Want, s.Do)
		if s.Unit != "" {
			fmt.Fprintf(&b, ", in a systemd unit `%s`", s.Unit)
		}
		b.WriteString(" |\n")
	}
	b.WriteString(refusals)
	return b.String()
}

func tierText(t Tier) (engine, adds string) {
	switch t {
	case T0:
		return "epoll", "nothing is asked beyond epoll"
	case T1:
		return "io_uring", "buffer rings: an idle connection holds no buffer"
	case T2:
		return "io_uring", "completions in batches, with a wait for more of them"
	}
	return "io_uring", "the ring waits on the epoll set of the listeners itself"
}

const refusals = `
## When io_uring is refused

With the engine "auto" each of these leads to epoll and one line in the log; with "uring" it is an error.

| what is seen | cause | remedy |
|---|---|---|
| EPERM, kernel.io_uring_disabled is 2 | switched off for all | ` + "`sysctl -w kernel.io_uring_disabled=0`" + ` |
| EPERM, kernel.io_uring_disabled is 1 | kept for CAP_SYS_ADMIN and one group | ` +
	"`sysctl -w kernel.io_uring_group=GID`" + ` |
| EPERM or ENOSYS under a seccomp filter | the default profiles of Docker and containerd ` +
	`| a profile that allows io_uring_setup, io_uring_enter and io_uring_register |
| ENOSYS without a filter | a kernel without CONFIG_IO_URING, or an emulation such as gVisor | another kernel |
| ENOMEM | RLIMIT_MEMLOCK (charged before Linux 5.12 and from 6.14) | ` + "`ulimit -l 8192`" +
	`, LimitMEMLOCK=8M |
| the self-test fails | a bug in this kernel | a lower tier is used; please report it |
`
