package e2e

import (
	"crypto/md5"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// postgres runs a server with an empty database, and returns its address and the folder of its programs. It does not
// run as root, so that root has it run as the user that its package brings.
func postgres(t *testing.T) (addr, programs string) {
	t.Helper()
	Tool(t, "pg_ctlcluster")
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatalf("no initdb of Debian's package postgresql: %v", err)
	}
	programs = filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "postgres-") // that of the test is closed to others
	do(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		owner, err := user.Lookup("postgres")
		do(t, err)
		uid, err := strconv.ParseUint(owner.Uid, 10, 32)
		do(t, err)
		gid, err := strconv.ParseUint(owner.Gid, 10, 32)
		do(t, err)
		do(t, os.Chown(dir, int(uid), int(gid)))
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(programs, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N",
		"--locale", "C", "-E", "UTF8")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	addr = FreeAddr(t, "127.0.0.1")
	_, port, err := net.SplitHostPort(addr)
	do(t, err)
	server := exec.Command(filepath.Join(programs, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", "",
		"-F", "-c", "shared_memory_type=mmap", "-c", "max_wal_size=1GB")
	server.Dir, server.SysProcAttr = dir, as
	p := launch(t, server)
	t.Cleanup(func() {
		p.Signal(syscall.SIGINT) // it takes its shared memory with it then
		p.Wait()
	})
	p.WaitOutput("ready to accept connections", 1)
	return addr, programs
}

// Tables go in and come out by COPY, and a result of many rows is the same as the server's own digest of it; pgbench
// has clients that connect for each transaction and some that stay.
func TestPostgreSQL(t *testing.T) {
	up, programs := postgres(t)
	passing(t, tcpOnly, up, func(t *testing.T, addr string) {
		host, port, err := net.SplitHostPort(addr)
		do(t, err)
		at := []string{"-h", host, "-p", port, "-U", "postgres"}
		psql := func(input, command string) string {
			return saidBy(t, input, Tool(t, "psql"), append(at, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c",
				command, "postgres")...)
		}
		const rows = 50_000
		var table strings.Builder
		for i := range rows {
			fmt.Fprintf(&table, "%d\t%d\n", i, i*i)
		}
		psql("", "drop table if exists squares; create table squares (n bigint, square bigint)")
		psql(table.String(), "copy squares from stdin")
		if got := psql("", "copy (select * from squares order by n) to stdout"); got != table.String() {
			t.Errorf("%d bytes came out of %d, or other ones", len(got), table.Len())
		}
		all := psql("", "select n || ':' || square from squares order by n")
		want := psql("", "select md5(string_agg(n || ':' || square || chr(10), '' order by n)) from squares")
		if got := fmt.Sprintf("%x\n", md5.Sum([]byte(all))); got != want {
			t.Errorf("%d bytes with the digest %swant %s", len(all), got, want)
		}
		pgbench := filepath.Join(programs, "pgbench")
		saidBy(t, "", pgbench, append(at, "-i", "-q", "-s", "1", "postgres")...)
		for _, args := range [][]string{
			{"-S", "-c", "16", "-t", "100"}, {"-S", "-C", "-c", "4", "-t", "10"}, {"-N", "-c", "8", "-t", "25"},
		} {
			out := saidBy(t, "", pgbench, append(append(at[:len(at):len(at)], "-n"), append(args, "postgres")...)...)
			if !strings.Contains(out, "number of failed transactions: 0 ") {
				t.Errorf("pgbench %v:\n%s", args, out)
			}
			_, figure, _ := strings.Cut(out, "tps = ")
			t.Logf("pgbench %v: %.12s transactions a second", args, figure)
		}
	})
}
