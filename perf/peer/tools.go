package peer

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
)

// FreePort is a port of the loopback interface that nobody uses now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Version is the first line of what a program says when it is run with an argument that asks for its version.
func Version(program, argument string) string {
	line, _, _ := strings.Cut(Answer(program, argument), "\n")
	return strings.Join(strings.Fields(line), " ")
}

// Answer is all that a program says when it is run with an argument.
func Answer(program, argument string) string {
	out, _ := exec.Command(program, argument).CombinedOutput() // how it ends does not matter
	return string(out)
}
