package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
)

// streamBytes is how much goes through one stream in each direction: a quarter of a gibibyte, or 64 when there is time.
func streamBytes() int64 {
	if os.Getenv("URINGPROXY_SOAK") != "" {
		return 64 << 30
	}
	return 256 << 20
}

const countedBlock = 1 << 20

// writeCounted writes n bytes, a multiple of countedBlock, in which every eight say where they stand, from first on.
func writeCounted(w io.Writer, first uint64, n int64) error {
	block := make([]byte, countedBlock)
	for ; n > 0; n -= countedBlock {
		for i := 0; i < len(block); i += 8 {
			binary.LittleEndian.PutUint64(block[i:], first)
			first++
		}
		if _, err := w.Write(block); err != nil {
			return fmt.Errorf("%d bytes before the end: %w", n, err)
		}
	}
	return nil
}

// readCounted reads what writeCounted writes, and the end behind it.
func readCounted(r io.Reader, first uint64, n int64) error {
	block := make([]byte, countedBlock)
	for left := n; left > 0; left -= countedBlock {
		if _, err := io.ReadFull(r, block); err != nil {
			return fmt.Errorf("%d of %d bytes before the end: %w", left, n, err)
		}
		for i := 0; i < len(block); i += 8 {
			if got := binary.LittleEndian.Uint64(block[i:]); got != first {
				return fmt.Errorf("%d of %d bytes before the end word %d comes, and %d was due", left, n, got, first)
			}
			first++
		}
	}
	if k, err := r.Read(block[:1]); k != 0 || err != io.EOF {
		return fmt.Errorf("behind the end: %d bytes, %w", k, err)
	}
	return nil
}

// exchangeCounted sends n bytes from mine on, ends, and reads as many from theirs on.
func exchangeCounted(conn *net.TCPConn, mine, theirs uint64, n int64) error {
	sent := make(chan error, 1)
	go func() {
		err := writeCounted(conn, mine, n)
		if err == nil {
			err = conn.CloseWrite()
		}
		sent <- err
	}()
	if err := readCounted(conn, theirs, n); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Much goes through one stream in both directions at once, through little memory, and arrives as it was.
func TestStreamBulk(t *testing.T) {
	const up, down = 0, 1 << 60
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	do(t, err)
	defer ln.Close()
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, tcpOnly(addr, ln.Addr().String())+"[limits]\nshard_buffer_bytes = \"16MiB\"\n",
			"--engine", engine, "--shards", "1")
		there := make(chan error, 1)
		go func() {
			conn, err := ln.Accept()
			if err == nil {
				defer conn.Close()
				err = exchangeCounted(conn.(*net.TCPConn), down, up, streamBytes())
			}
			there <- err
		}()
		p.watch(func() {
			conn, err := net.Dial("tcp4", addr)
			do(t, err)
			defer conn.Close()
			if err := exchangeCounted(conn.(*net.TCPConn), up, down, streamBytes()); err != nil {
				t.Errorf("client: %v", err)
			}
			if err := <-there; err != nil {
				t.Errorf("endpoint: %v", err)
			}
		})
		p.NoWorkers()
		p.Stop()
	})
}
