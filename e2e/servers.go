package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Tool is the path of a program that tests need and that Debian's package of the given name brings.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed; \"make test\" installs what the tests need", name)
	}
	return path
}

// Server is a foreign server that runs as an upstream.
type Server struct {
	*process
	// Addr is the host and port it listens on, Dir its directory.
	Addr, Dir string
	args      []string
}

// Nginx runs nginx in one process. conf is the inside of its one server block, behind the listen directive; files are
// looked for in Server.Dir.
func Nginx(t testing.TB, conf string) *Server {
	t.Helper()
	s := &Server{Addr: FreeAddr(t, "127.0.0.1"), Dir: t.TempDir()}
	text := fmt.Sprintf(`daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 1000000; client_max_body_size 0; default_type application/octet-stream;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server { listen %s; root %s; %s }
}
`, s.Addr, s.Dir, conf)
	s.write(t, "nginx.conf", text)
	s.args = []string{Tool(t, "nginx"), "-p", s.Dir, "-c", "nginx.conf", "-e", "stderr"}
	s.Restart(t)
	return s
}

// HAProxy runs haproxy in one process. conf is what follows the bind line of its one frontend; it may go on with
// sections of its own.
func HAProxy(t testing.TB, conf string) *Server {
	t.Helper()
	s := &Server{Addr: FreeAddr(t, "127.0.0.1"), Dir: t.TempDir()}
	text := fmt.Sprintf(`global
	nbthread 1
	maxconn 4096
defaults
	mode http
	timeout connect 30s
	timeout client 60s
	timeout server 60s
frontend main
	bind %s
%s
`, s.Addr, conf)
	s.write(t, "haproxy.cfg", text)
	s.args = []string{Tool(t, "haproxy"), "-db", "-f", "haproxy.cfg"}
	s.Restart(t)
	return s
}

func (s *Server) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Restart starts the server, once more after it has ended, and waits until it takes connections.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Dir = s.Dir
	s.process = launch(t, cmd)
	limit := time.Now().Add(hang)
	for {
		c, err := net.DialTimeout("tcp", s.Addr, hang)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-s.ended:
			t.Fatalf("%s ended with code %d", s.name, s.cmd.ProcessState.ExitCode())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("%s does not take connections at %s: %v", s.name, s.Addr, err)
		}
	}
}

// URL is the server as an endpoint.
func (s *Server) URL() string { return "http://" + s.Addr }
