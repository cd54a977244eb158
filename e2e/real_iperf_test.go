package e2e

import (
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// iperf is what iperf3 tells of a run.
type iperf struct {
	Error string
	End   struct {
		Sent     sum `json:"sum_sent"`
		Received sum `json:"sum_received"`
		Back     sum `json:"sum_received_bidir_reverse"`
		Sum      struct {
			Packets int
			Lost    int `json:"lost_packets"`
		}
	}
}

type sum struct {
	Bytes int64
	Rate  float64 `json:"bits_per_second"`
}

// iperf3 has a connection of its own to say what is to be done, and as many as it is told for it; the server sends, or
// the client, or both, by TCP or UDP. Which connection is for which direction it tells by the order in which they come,
// and that is kept within a shard.
func TestIperf3(t *testing.T) {
	up := FreeAddr(t, "127.0.0.1")
	_, port, err := net.SplitHostPort(up)
	do(t, err)
	server := launch(t, exec.Command(Tool(t, "iperf3"), "-s", "-B", "127.0.0.1", "-p", port, "--forceflush"))
	server.WaitOutput("Server listening on", 1)
	tests := 1
	passing(t, both, up, func(t *testing.T, addr string) {
		host, port, err := net.SplitHostPort(addr)
		do(t, err)
		for _, args := range []string{
			"-n 100M", "-n 100M -R", "-n 100M --bidir", "-n 100M -P 8", "-n 100M -P 8 -R", "-n 10M -l 1000",
		} {
			r := measuredBy(t, host, port, args)
			if r.End.Sent.Bytes < 10<<20 || r.End.Received.Bytes == 0 ||
				r.End.Back.Bytes == 0 && strings.Contains(args, "bidir") {
				t.Errorf("%s: %+v", args, r)
			}
			t.Logf("%s: %.1f Gbit/s", args, (r.End.Received.Rate+r.End.Back.Rate)/1e9)
			tests++
			server.WaitOutput("Server listening on", tests)
		}
		// The client's datagrams come last: those that are still under way when the server has seen enough would be
		// taken for the next test's.
		for _, args := range []string{"-b 20M -R", "-b 20M"} {
			r := measuredBy(t, host, port, "-u -l 1000 -n 2M "+args)
			if r.End.Sum.Packets < 2000 || r.End.Sum.Lost >= r.End.Sum.Packets {
				t.Errorf("%s: %+v", args, r)
			}
			tests++
			server.WaitOutput("Server listening on", tests)
		}
	}, "--shards", "1")
}

// measuredBy runs iperf3 against an address.
func measuredBy(t *testing.T, host, port, args string) (r iperf) {
	t.Helper()
	all := append([]string{"-c", host, "-p", port, "-J"}, strings.Fields(args)...)
	out, err := exec.CommandContext(t.Context(), Tool(t, "iperf3"), all...).Output()
	if e := json.Unmarshal(out, &r); e != nil || err != nil || r.Error != "" {
		t.Fatalf("iperf3 %s: %v, %v\n%s", args, err, e, out)
	}
	return r
}
