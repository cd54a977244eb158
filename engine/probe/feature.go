package probe

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Verdict is the outcome of one probe.
type Verdict uint8

const (
	Unknown Verdict = iota // could not tell; Finding.Err says why
	Yes
	No
)

func (v Verdict) String() string { return [...]string{"unknown", "yes", "no"}[v] }

// Tier is a set of kernel features that a way of working needs; each includes the ones below.
type Tier int8

const (
	Optional Tier = iota - 1 // needed by no tier: used where it is there
	T0                       // epoll
	T1                       // io_uring with buffer rings
	T2                       // and batched completions
	T3                       // and the epoll set waited on by the ring itself
)

func (t Tier) String() string {
	if t == Optional {
		return "-"
	}
	return fmt.Sprintf("T%d", t)
}

// Feature is one thing that a kernel may have and we use.
type Feature struct {
	Name  string
	Use   string  // what we use it for
	Since Version // the least kernel
	Tier  Tier    // the lowest tier that cannot do without
	probe func(*prober) error
}

// Finding is what a probe found.
type Finding struct {
	*Feature
	Verdict Verdict
	Err     error // why not Yes
}

// Findings are the results for the whole table, in its order.
type Findings []Finding

// Missing returns the first feature that tier t needs and that is not there; nil when it has all.
func (fs Findings) Missing(t Tier) *Finding {
	for i := range fs {
		if f := &fs[i]; f.Tier != Optional && f.Tier <= t && f.Verdict != Yes {
			return f
		}
	}
	return nil
}

// absent is the error of a probe that is sure: the kernel does not have the feature.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// absentIf is err as a certain no when it is one of the errnos, and err itself otherwise.
func absentIf(err error, errnos ...unix.Errno) error {
	for _, e := range errnos {
		if errors.Is(err, e) {
			return absent{err}
		}
	}
	return err
}

// Features tells what this kernel lets this process do. It leaves nothing behind.
func Features() Findings {
	// A ring belongs to the thread that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := newProber()
	defer p.close()
	fs := make(Findings, len(features))
	for i := range features {
		fs[i] = examine(p, &features[i])
	}
	return fs
}

func examine(p *prober, f *Feature) Finding {
	err := f.probe(p)
	var no absent
	switch {
	case err == nil:
		return Finding{f, Yes, nil}
	case errors.As(err, &no):
		return Finding{f, No, err}
	}
	return Finding{f, Unknown, err}
}
