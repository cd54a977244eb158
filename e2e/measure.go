package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// AnonBytes is the anonymous memory that the process has in use: heap, stacks and mapped buffers, without the
// program's file.
func (p *process) AnonBytes() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssAnon:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("the kernel does not tell RssAnon")
	return 0
}

// ThreadNames are the names of the process's threads. Workers that the kernel makes for io_uring are among them.
func (p *process) ThreadNames() []string {
	p.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil { // a thread may have ended meanwhile
			names = append(names, strings.TrimSpace(string(b)))
		}
	}
	return names
}

// NoWorkers checks that the kernel has given the process no io_uring worker threads.
func (p *process) NoWorkers() {
	p.t.Helper()
	for _, name := range p.ThreadNames() {
		if strings.HasPrefix(name, "iou-wrk") {
			p.t.Errorf("a kernel worker %s runs for %s", name, p.name)
		}
	}
}

// Sockets is the number of sockets that the process has open.
func (p *process) Sockets() int {
	p.t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	n := 0
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

var turns = regexp.MustCompile(`msg=engine turns=(\d+)`)

// Turns is how often the loops of a stopped proxy have turned.
func (p *Proxy) Turns() int {
	p.t.Helper()
	m := turns.FindStringSubmatch(p.Output())
	if m == nil {
		p.t.Fatal("the log does not tell how often the engine turned")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}
