package peer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Build builds uringproxy from the source in the current folder, into dir, and returns the program's path.
func Build(dir string) (string, error) {
	program := filepath.Join(dir, "uringproxy")
	build := exec.Command("go", "build", "-o", program, "github.com/uringproxy/uringproxy/cmd/uringproxy")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build uringproxy: %w", err)
	}
	return program, nil
}

// FreePort is a port of the loopback interface that nobody uses now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// CheckPort is an error if somebody uses a port of the loopback interface.
func CheckPort(port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("port %d is taken: %w", port, err)
	}
	return l.Close()
}

// Version is the first line of what a program says when it is run with an argument that asks for its version.
func Version(program, argument string) string {
	out, _ := exec.Command(program, argument).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.Join(strings.Fields(line), " ")
}

// Median is the middle value; 0 when there is none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
