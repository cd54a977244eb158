package peer

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
)

// portTries is how many ports are looked at.
const portTries = 100

// FreePort is a port of the loopback interface that nobody uses now, neither for TCP nor for UDP.
func FreePort() (port int, err error) {
	for range portTries {
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			break
		}
		port = l.Addr().(*net.TCPAddr).Port
		var u *net.UDPConn
		u, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		l.Close()
		if err == nil {
			u.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("look for a free port: %w", err)
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
