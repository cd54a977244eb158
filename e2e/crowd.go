package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Crowd is many clients that keep their connections. A process may have only so many descriptors, so they live in
// processes of their own: this test binary, started again.
type Crowd struct {
	members []*member
	asked   int
}

type member struct {
	*process
	orders io.WriteCloser
}

const (
	crowdEnv   = "URINGPROXY_CROWD" // "ADDRESS SOURCE COUNT": this process is a crowd's member
	memberSize = 4500
	answered   = "all answered\n"
)

// NewCrowd makes count clients of addr, none of which is connected yet.
func NewCrowd(t testing.TB, addr string, count int) *Crowd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &Crowd{}
	for i := 0; count > 0; i++ {
		n := min(count, memberSize)
		count -= n
		cmd := exec.Command(self)
		source := fmt.Sprintf("127.0.1.%d", i+1) // each has ports of its own
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", crowdEnv, addr, source, n))
		orders, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.members = append(c.members, &member{launch(t, cmd), orders})
	}
	return c
}

// Ask has every client make a request and read its response. The first time they connect.
func (c *Crowd) Ask() {
	c.asked++
	for _, m := range c.members {
		m.t.Helper()
		if _, err := io.WriteString(m.orders, "ask\n"); err != nil {
			m.t.Fatal(err)
		}
	}
	for _, m := range c.members {
		m.waitOutput(answered, c.asked, 10*hang) // thousands, on a machine that may be busy
	}
}

// Leave closes all connections.
func (c *Crowd) Leave() {
	for _, m := range c.members {
		m.t.Helper()
		m.orders.Close()
		if code := m.Wait(); code != 0 {
			m.t.Errorf("a crowd's member ended with code %d", code)
		}
	}
}

// crowdMember is the main function of a member: it asks whenever it is told to, until its input ends.
func crowdMember(spec string) int {
	fields := strings.Fields(spec)
	count, err := strconv.Atoi(fields[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	conns := make([]net.Conn, count)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := askAll(conns, fields[0], fields[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Print(answered)
	}
	return 0
}

// askAll makes a request on each connection, so many at a time that a busy machine, on which each answer takes long,
// still gets through thousands.
func askAll(conns []net.Conn, addr, source string) error {
	const workers = 32
	var all sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		all.Go(func() {
			for i := w; i < len(conns); i += workers {
				if err := ask(&conns[i], addr, source, i); err != nil {
					errs <- fmt.Errorf("connection %d of %s: %w", i, source, err)
					return
				}
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

func ask(c *net.Conn, addr, source string, i int) error {
	if *c == nil {
		dialer := net.Dialer{Timeout: hang, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		conn, err := dialer.Dial("tcp", addr)
		if err != nil {
			return err
		}
		*c = conn
	}
	w := newWire(nil, *c)
	w.guard()
	target := fmt.Sprintf("/%s/%d", source, i)
	if _, err := io.WriteString(w.conn, Request("GET", target, "x.test", "")); err != nil {
		return err
	}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return CheckBody(res.Body, SumText("GET", target, ""), 65)
}
