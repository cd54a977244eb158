// Package origin is the upstream of benchmarks: a server of HTTP/1.1, WebSockets, plain connections and datagrams that
// costs next to nothing, so that the core that it shares with the load generator is left to that.
//
// One thread serves everything with epoll, and allocates nothing per request. What it answers is what perf/load
// expects, byte by byte. Only programs under perf import it, and the command that runs benchmarks.
//
// The last segment of a path says what is asked for. A number, with k or m for KiB or MiB behind it, is a body of that
// many bytes of load.Pattern, and small is 100. That of load.AnswerPath is the body of the service, that of
// load.StreamPath a stream without end. load.FieldsPath tells what a proxy makes of a request, and load.AcceptedPath
// how many connections it opens. Every POST and PUT is answered with how many bytes its body had. load.UpgradePath
// makes a WebSocket of a connection, whose messages are sent back; services of other kinds speak no HTTP.
package origin

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
)

const (
	// readBytes is how much is read at once, and outBytes how much of answers is gathered before it is sent.
	readBytes = 256 << 10
	outBytes  = 64 << 10
	// eventCount is for how many connections events are taken at once.
	eventCount = 512
	backlog    = 4096
)

// Kind is what a service does.
type Kind uint8

const (
	HTTP      Kind = iota // answers requests, those for load.AnswerPath with its name
	Echo                  // sends back what comes on connections
	Source                // sends and takes streams, as package load describes them
	Datagrams             // sends back each datagram
)

// Service is an address where something is served.
type Service struct {
	Name string
	Addr netip.AddrPort // IPv4; port 0: any that is free
	Kind Kind
}

// Origin is a server. Serve may run once.
type Origin struct {
	listeners []listener
	mirror    *mirror // of datagrams; nil until there is one
	accepted  int64   // connections, but those of whoever asks how many
	epoll     int
	wake      int // an eventfd, which says that it is time to end
	conns     []*conn
	streams   queue

	in, out []byte // what is read, and the answers to it: of the connection that is handled just now
	body    []byte // bodyBytes of load.Pattern,
	file    int    // and a file that consists of them
	offset  int64  // in the file
	head    []byte // of an answer, up to the value of Content-Length
	second  int64  // that head says in its Date
	now     time.Time
}

type listener struct {
	fd   int
	addr netip.AddrPort
	kind Kind
	body []byte // that answers load.AnswerPath
}

// Listen opens the addresses of services. Serve has to follow, or Close.
func Listen(services ...Service) (*Origin, error) {
	o := &Origin{epoll: -1, wake: -1, file: -1, in: make([]byte, readBytes), out: make([]byte, 0, 2*outBytes)}
	o.body = load.Pattern(bodyBytes)
	err := o.open(services)
	if err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

func (o *Origin) open(services []Service) (err error) {
	if o.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create epoll set: %w", err)
	}
	if o.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("create event: %w", err)
	}
	if err := o.watch(o.wake, unix.EPOLL_CTL_ADD, unix.EPOLLIN, 0); err != nil {
		return fmt.Errorf("watch event: %w", err)
	}
	if o.file, err = unix.MemfdCreate("pattern", unix.MFD_CLOEXEC); err == nil {
		_, err = unix.Write(o.file, o.body)
	}
	if err != nil {
		return fmt.Errorf("create file of bodies: %w", err)
	}
	for _, s := range services {
		l := listener{fd: -1, kind: s.Kind, body: load.Body(s.Name)}
		if l.fd, l.addr, err = listen(s.Addr, s.Kind); err == nil {
			o.listeners = append(o.listeners, l)
			err = o.watch(l.fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN, 0)
		}
		if err != nil {
			return fmt.Errorf("listen on %v for service %s: %w", s.Addr, s.Name, err)
		}
		if s.Kind == Datagrams && o.mirror == nil {
			o.mirror = newMirror()
		}
	}
	return nil
}

// listen opens a socket for datagrams, or one whose connections send what they are given at once.
func listen(addr netip.AddrPort, kind Kind) (fd int, bound netip.AddrPort, err error) {
	if !addr.Addr().Is4() {
		return -1, bound, unix.EAFNOSUPPORT
	}
	form := unix.SOCK_STREAM
	if kind == Datagrams {
		form = unix.SOCK_DGRAM
	}
	fd, err = unix.Socket(unix.AF_INET, form|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, err
	}
	if kind != Datagrams {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	if err == nil && kind != Datagrams {
		err = unix.Listen(fd, backlog)
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, bound, err
	}
	return fd, netip.AddrPortFrom(addr.Addr(), uint16(name.(*unix.SockaddrInet4).Port)), nil
}

// Addrs are the addresses that are listened on, in the order of the services.
func (o *Origin) Addrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, l := range o.listeners {
		addrs = append(addrs, l.addr)
	}
	return addrs
}

// Serve answers until ctx ends, which is no error, and closes everything.
func (o *Origin) Serve(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_, _ = unix.Write(o.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // the first write into an eventfd succeeds
		close(woken)
	})
	defer o.Close()
	defer func() {
		if !stop() {
			<-woken // before the event's descriptor is closed
		}
	}()
	events := make([]unix.EpollEvent, eventCount)
	for {
		n, err := unix.EpollWait(o.epoll, events, o.patience())
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for events: %w", err)
		}
		o.now = time.Now()
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if fd == o.wake {
				return nil
			}
			if err := o.dispatch(fd, &events[i]); err != nil {
				return err
			}
		}
		o.continueStreams()
	}
}

// Close closes everything. After Serve it has been done.
func (o *Origin) Close() {
	for _, l := range o.listeners {
		_ = unix.Close(l.fd)
	}
	for _, c := range o.conns {
		if c != nil && c.fd >= 0 {
			o.close(c)
		}
	}
	for _, fd := range []*int{&o.epoll, &o.wake, &o.file} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
	o.listeners, o.conns = nil, nil
}

func (o *Origin) watch(fd, op int, events uint32, generation int32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: generation}
	return unix.EpollCtl(o.epoll, op, fd, &event)
}

// dispatch gives an event to whom it is for.
func (o *Origin) dispatch(fd int, event *unix.EpollEvent) error {
	if fd < len(o.conns) && o.conns[fd] != nil {
		if c := o.conns[fd]; c.fd == fd && c.generation == event.Pad {
			o.handle(c, event.Events)
			return nil
		}
	}
	for i := range o.listeners {
		if l := &o.listeners[i]; l.fd == fd && l.kind == Datagrams {
			return o.mirror.sendBack(fd)
		} else if l.fd == fd {
			return o.accept(l)
		}
	}
	return nil
}

// accept takes all connections that wait.
func (o *Origin) accept(l *listener) error {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR || err == unix.ECONNABORTED:
			return nil
		case err != nil:
			return fmt.Errorf("accept connection: %w", err)
		}
		if len(o.conns) <= fd {
			o.conns = append(o.conns, make([]*conn, fd+1-len(o.conns))...)
		}
		if o.conns[fd] == nil {
			o.conns[fd] = new(conn)
		}
		o.accepted++
		c := o.conns[fd]
		c.reset(fd, l)
		events := uint32(watchInput)
		if l.kind == Source {
			events = watchStream
		}
		if err := o.watch(fd, unix.EPOLL_CTL_ADD, events, c.generation); err != nil {
			return fmt.Errorf("watch connection: %w", err)
		}
	}
}
