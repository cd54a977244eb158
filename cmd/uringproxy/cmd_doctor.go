package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/engine/probe"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

func runDoctor(env *environment, args []string) int {
	if code, done := env.flags("doctor").parse(args); done {
		return code
	}
	code := probe.Doctor(env.stdout)
	doctorTLS(env.stdout)
	return code
}

// doctorTLS says who would open and seal the records of TLS.
func doctorTLS(w io.Writer) {
	fmt.Fprintln(w)
	if err := handshake.SelfTest(); err != nil {
		fmt.Fprintf(w, "TLS: ✗ a goroutine for each connection, since shards cannot go on after handshakes: %v\n", err)
	} else {
		fmt.Fprintln(w, "TLS: ✓ records in the shards, handshakes beside them")
	}
	kernel := "this kernel has none"
	if kernelTLS() {
		kernel = "this kernel has it, this version does not use it"
	}
	fmt.Fprintf(w, "     TLS by the kernel (kTLS): %s\n", kernel)
}

// kernelTLS reports whether the kernel could seal records itself.
func kernelTLS() bool {
	protocols, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_ulp")
	return err == nil && slices.Contains(strings.Fields(string(protocols)), "tls")
}
