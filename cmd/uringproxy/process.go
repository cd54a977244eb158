package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/config"
)

// process is the running process that a command is about, by its admin listener.
type process struct {
	env       *environment
	addr      admin.Address // as the command line says
	tokenFile string        // the same
	paths     []string
	faults    config.Faults // because of which the configuration does not tell the address
}

// process defines the flags that say which process is meant.
func (f *flags) process() *process {
	p := &process{env: f.env}
	f.Func("admin", "", func(s string) (err error) {
		p.addr, err = admin.ParseAddress(s)
		return err
	})
	f.Func("token-file", "", func(s string) error {
		if p.tokenFile = s; s == "" {
			return errors.New("the value is empty")
		}
		return nil
	})
	f.list("config", &p.paths)
	return p
}

// client finds out where the process answers and which token it wants: the command line goes before the configuration,
// and that before the default.
func (p *process) client() (*admin.Client, error) {
	addr, tokenFile := p.addr, p.tokenFile
	if len(p.paths) > 0 && (addr == "" || tokenFile == "") {
		var a config.Admin
		a, p.faults = config.FindAdmin(p.paths)
		if len(p.faults) == 0 && tokenFile == "" {
			tokenFile = a.TokenFile
		}
		switch {
		case addr != "" || len(p.faults) > 0: // most keep the default
		case a.Off:
			return nil, errors.New(`the configuration turns the admin listener off (admin.address = "off"); ` +
				`without it, SIGHUP makes a process reload, and its log tells the rest`)
		case a.Unix != "":
			addr = admin.Address("unix:" + a.Unix)
		default:
			addr = admin.Address(reachable(a).String())
		}
	}
	if addr == "" {
		addr = admin.DefaultAddress
	}
	token := ""
	if tokenFile != "" {
		var err error
		if token, err = config.ReadToken(tokenFile); err != nil {
			return nil, fmt.Errorf("read token: %q, %w", tokenFile, err)
		}
	}
	return admin.NewClient(addr, token), nil
}

// reachable is where one connects to who listens at a: every address means this machine here.
func reachable(a config.Admin) netip.AddrPort {
	switch {
	case a.Addr.Addr() == netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Addr.Port())
	case a.Addr.Addr() == netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), a.Addr.Port())
	}
	return a.Addr
}

// unanswered reports that the process could not be asked.
func (p *process) unanswered(err error) int {
	var nobody *admin.Unreachable
	switch {
	case len(p.faults) > 0:
		p.env.faulty(p.faults)
		err = fmt.Errorf("%w; and because of the faults it is not known where else: "+
			"name the admin listener with --admin ADDRESS", err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; ask as the user that uringproxy runs as", err)
	case errors.As(err, &nobody):
		err = fmt.Errorf("%w; is uringproxy running? its configuration may have another address in [admin], "+
			"or \"off\": then name it with --admin ADDRESS or --config FILE", err)
	}
	return p.env.failed(errors.New(printable(err.Error())))
}
