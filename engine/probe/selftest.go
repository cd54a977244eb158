package probe

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// trialPatience bounds each wait of a self-test, in nanoseconds. It only decides between slow and broken.
const trialPatience = 5e9

// trialPolls is how often Poll may return without an event in one wait: signals make it do so.
const trialPolls = 100

// selfTest opens as many backends as there will be shards, each on a thread of its own as a shard has it, and
// with all of them open, so that shared limits are felt, has each carry a conversation with itself.
func selfTest(shards int, open func() engine.Backend) error {
	errs := make(chan error, shards)
	var opened sync.WaitGroup
	opened.Add(shards)
	for range shards {
		go func() {
			// Never unlocked: the thread ends with the goroutine, and with it what the kernel tied to the thread.
			runtime.LockOSThread()
			errs <- runTrial(open, &opened)
		}()
	}
	var first error
	for range shards {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// trial is one backend under test with both ends of one conversation.
type trial struct {
	b      engine.Backend
	conns  *engine.Table
	mem    *mem.Arena
	stats  engine.Stats
	batch  [16]engine.Event
	queued []engine.Event // reported, not yet asked for
}

func runTrial(open func() engine.Backend, opened *sync.WaitGroup) error {
	t := &trial{}
	err := t.open(open)
	opened.Done()
	defer t.close()
	if err != nil {
		return err
	}
	opened.Wait()
	return t.converse()
}

func (t *trial) open(open func() engine.Backend) (err error) {
	if t.conns, err = engine.NewTable(8); err != nil {
		return err
	}
	if t.mem, err = mem.NewArena(mem.Sizes{Small: 64, Bulk: 4, Head: 1, BulkBytes: 64 << 10}); err != nil {
		return err
	}
	return insist(func() error {
		b := open()
		if err := b.Open(engine.Env{Conns: t.conns, Mem: t.mem, Stats: &t.stats}); err != nil {
			return err // and nothing is left to shut down
		}
		t.b = b
		return nil
	})
}

func (t *trial) close() {
	if t.b != nil {
		t.b.Shutdown()
	}
	if t.mem != nil {
		t.mem.Close()
	}
	if t.conns != nil {
		t.conns.Close()
	}
}

// converse connects to a listener of its own, passes data in each way of receiving, and closes.
func (t *trial) converse() error {
	listener, addr, err := listenLocally()
	if err != nil {
		return err
	}
	defer unix.Close(listener)
	client, server, err := t.connect(listener, &addr)
	if err != nil {
		return err
	}
	t.b.Recv(server, engine.RecvStream)
	for range 3 { // the first proves a receive that waits, the others that it stays armed or can be armed again
		if err := t.pass(client, server, engine.RecvStream, 1); err != nil {
			return fmt.Errorf("stream receive: %w", err)
		}
	}
	if err := t.cancel(server); err != nil {
		return fmt.Errorf("cancel receive: %w", err)
	}
	for mode, name := range map[engine.RecvMode]string{engine.RecvSmall: "receive", engine.RecvBulk: "bulk receive"} {
		t.b.Recv(server, mode)
		if err := t.pass(client, server, mode, 2); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return t.part(client, server)
}

func (t *trial) connect(listener int, addr *engine.Addr) (client, server *engine.Conn, err error) {
	if err := t.b.Listen(0, listener); err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	client, server = t.conns.Alloc(), t.conns.Alloc()
	t.b.Connect(client, addr)
	connected, err := t.await(engine.EvConnected, client)
	if err == nil && connected.Res != 0 {
		err = unix.Errno(-connected.Res)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	accepted, err := t.await(engine.EvAccept, nil)
	if err == nil && accepted.Res < 0 {
		err = unix.Errno(-accepted.Res)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("accept: %w", err)
	}
	t.b.Attach(server, int(accepted.Res))
	return client, server, nil
}

// pass sends a message in the given number of spans and checks that it arrives.
func (t *trial) pass(from, to *engine.Conn, mode engine.RecvMode, spans int) error {
	message := []byte("uringproxy self-test")
	buf, ok := t.mem.Take(mem.Small)
	if !ok {
		return errors.New("no buffer left: received buffers were not given back")
	}
	defer t.mem.Drop(buf)
	all := t.mem.Data(buf)
	copy(t.mem.Bytes(all), message)
	var parts []mem.Span
	share := uint32(len(message) / spans)
	for i := range uint32(spans) {
		parts = append(parts, mem.Span{Off: all.Off + i*share, Len: share})
	}
	t.b.Send(from, parts, false)
	sent, err := t.await(engine.EvSent, from)
	if err != nil {
		return err
	}
	if int(sent.Res) != len(message) {
		return fmt.Errorf("sent %d of %d bytes", sent.Res, len(message))
	}
	return t.receive(to, mode, message)
}

// receive collects a message that may come in pieces.
func (t *trial) receive(c *engine.Conn, mode engine.RecvMode, want []byte) error {
	var got []byte
	for len(got) < len(want) {
		ev, err := t.await(engine.EvRecv, c)
		switch {
		case err != nil:
			return err
		case ev.Res < 0:
			return unix.Errno(-ev.Res)
		case ev.Res == 0:
			return errors.New("end of stream where data was due")
		}
		got = append(got, t.mem.Bytes(ev.Data())...)
		t.mem.Drop(ev.Buf)
		if ev.Flags&engine.FlagMore == 0 && (mode == engine.RecvStream || len(got) < len(want)) {
			t.b.Recv(c, mode)
		}
	}
	if !bytes.Equal(got, want) {
		return errors.New("the data changed on its way")
	}
	return nil
}

// cancel ends the armed receive of c, and whatever it still reports.
func (t *trial) cancel(c *engine.Conn) error {
	t.b.RecvCancel(c)
	for {
		ev, err := t.await(engine.EvRecv, c)
		if err != nil || ev.Flags&engine.FlagMore == 0 {
			return err
		}
	}
}

func (t *trial) part(conns ...*engine.Conn) error {
	for _, c := range conns {
		t.b.Close(c, false)
		if _, err := t.await(engine.EvClosed, c); err != nil {
			return fmt.Errorf("close: %w", err)
		}
		t.conns.Release(c)
	}
	return nil
}

// await polls until the wanted event has come. c is nil for an event without a connection.
func (t *trial) await(kind engine.Kind, c *engine.Conn) (engine.Event, error) {
	for empty := 0; ; {
		for i, ev := range t.queued {
			if ev.Kind == kind && (c == nil || ev.Slot == c.Slot) {
				t.queued = append(t.queued[:i], t.queued[i+1:]...)
				return ev, nil
			}
		}
		began := time.Now()
		n, err := t.b.Poll(trialPatience, t.batch[:])
		if err != nil {
			return engine.Event{}, err
		}
		if n == 0 {
			empty++
		}
		if n == 0 && (empty == trialPolls || time.Since(began) >= trialPatience) {
			return engine.Event{}, fmt.Errorf("waited in vain for the event %q", kind)
		}
		t.queued = append(t.queued, t.batch[:n]...)
	}
}
