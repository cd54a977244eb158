package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

const (
	pingBytes    = 1024
	smallMessage = 100
)

// passedOn are the scenarios in which a proxy passes on what it does not read: connections, WebSockets and datagrams.
func passedOn() []scenario {
	const perRequest = result.PerRequest
	return []scenario{
		&bulk{profile{name: "tcp-bulk", title: "a TCP stream from the upstream, as fast as it goes",
			unit: result.PerByte, conns: 1, wire: load.Bulk, endless: true}, false},
		&bulk{profile{name: "tcp-bulk-64", title: "64 TCP streams from the upstream, as fast as they go",
			unit: result.PerByte, conns: 64, wire: load.Bulk, endless: true}, false},
		&bulk{profile{name: "tcp-duplex", title: "a TCP stream in both directions at once, as fast as it goes",
			unit: result.PerByte, conns: 1, wire: load.Bulk, endless: true, extra: true}, true},
		&closedLoop{profile{name: "tcp-pingpong", title: "messages of 1 KiB there and back, TCP connections",
			unit: perRequest, conns: 64, wire: load.Echo}, load.Config{Message: pingBytes}},
		&closedLoop{profile{name: "tcp-pingpong-1", title: "messages of 1 KiB there and back, one TCP connection",
			unit: perRequest, conns: 1, wire: load.Echo}, load.Config{Message: pingBytes}},
		&closedLoop{profile{name: "tcp-churn", title: "a TCP connection for each message of 100 bytes there and back",
			unit: perRequest, conns: 64, wire: load.Echo, renewing: true},
			load.Config{Message: smallMessage, PerRequest: true}},
		&closedLoop{profile{name: "websocket", title: "messages of 100 bytes there and back, WebSockets",
			unit: perRequest, conns: 64, wire: load.WebSocket}, load.Config{Message: smallMessage}},
		&closedLoop{profile{name: "udp-echo", title: "datagrams of 100 bytes there and back",
			unit: perRequest, conns: 64, wire: load.Datagrams}, load.Config{Message: smallMessage}},
	}
}

// askBytes are sent to see whether a proxy is ready: at least a stamp.
var askBytes = []byte("are you there?")

// askAgain is how long a datagram is waited for.
const askAgain = 100 * time.Millisecond

// passes is no error when what a target is to pass on comes through.
func (t *target) passes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	network := "tcp"
	if t.site.UDP() {
		network = "udp"
	}
	c, err := new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", t.site.Port))
	if err != nil {
		return err
	}
	defer c.Close()
	if c.LocalAddr().String() == c.RemoteAddr().String() { // which the kernel may choose where nobody listens
		return errors.New("connected to itself")
	}
	deadline, _ := ctx.Deadline()
	if t.site.UDP() {
		deadline = time.Now().Add(askAgain)
	}
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	answer := make([]byte, len(askBytes))
	if !t.site.Bulk() { // that answers without being asked
		if _, err := c.Write(askBytes); err != nil {
			return err
		}
	}
	_, err = io.ReadFull(c, answer)
	if err == nil && !t.site.Bulk() && string(answer) != string(askBytes) {
		err = fmt.Errorf("%q came back as %q", askBytes, answer)
	}
	return err
}

// unable says why a program cannot pass on what is asked for; empty if it can.
func (k *kind) unable(wire load.Wire, program string) string {
	if why := k.cannot[wire]; why != "" {
		return why
	}
	if wire == load.HTTP || wire == load.WebSocket || k.module == nil {
		return ""
	}
	if _, err := k.module(program); err != nil {
		return err.Error()
	}
	return ""
}

// nginxStream is the module by which nginx passes on connections and datagrams, where it is not built in.
func nginxStream(program string) (string, error) {
	const flag = "--with-stream"
	prefix, folder := "", ""
	for _, word := range strings.Fields(peer.Answer(program, "-V")) {
		switch name, value, _ := strings.Cut(word, "="); {
		case word == flag:
			return "", nil
		case name == "--prefix":
			prefix = value
		case name == "--modules-path":
			folder = value
		}
	}
	if folder == "" {
		folder = filepath.Join(prefix, "modules")
	}
	path := filepath.Join(folder, "ngx_stream_module.so")
	if _, err := os.Stat(path); err != nil {
		return "", errors.New(program + " was built without " + flag + ", and there is no " + path)
	}
	return path, nil
}
