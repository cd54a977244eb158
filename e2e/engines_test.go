package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Every way to run it that this machine has: it says what it runs on, serves, and no worker thread of the kernel's
// helps it.
func TestEnginesAndTiers(t *testing.T) {
	up := NewChecking(t)
	for _, tt := range []struct {
		args []string
		says string // in the log
	}{
		{[]string{"--engine", "epoll"}, "engine=epoll"},
		{[]string{"--engine", "uring"}, "engine=uring tier=T"},
		{[]string{"--engine", "uring", "--tier", "T1"}, "engine=uring tier=T1"},
		{[]string{"--engine", "uring", "--tier", "T2"}, "engine=uring tier=T2"},
		{[]string{"--engine", "uring", "--tier", "T3"}, "engine=uring tier=T3"},
		{[]string{"--engine", "auto", "--shards", "3"}, "shards=3"},
		{nil, "engine="},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			if tt.args != nil && tt.args[1] == "uring" {
				if err := uringMissing(); err != nil {
					t.Skipf("io_uring cannot be used here: %v", err)
				}
			}
			addr := FreeAddr(t, "127.0.0.1")
			p := Start(t, Config(up.URL, addr), tt.args...)
			load := startWrk(t, "http://"+addr+"/wrk", 32, time.Second)
			client := Client(t)
			for i := 0; load.running(); i++ {
				const n = 300_000
				target := fmt.Sprintf("/%d?n=%d", i, n)
				c := Call{Method: "PUT", Target: target, Body: n, Chunked: i%2 == 0, Want: n}
				if err := c.Do(client, "http://"+addr); err != nil {
					t.Fatal(err)
				}
				p.NoWorkers()
			}
			load.check()
			p.Stop()
			if !strings.Contains(p.Output(), tt.says) {
				t.Errorf("the log does not say %q:\n%s", tt.says, p.Output())
			}
		})
	}
}
