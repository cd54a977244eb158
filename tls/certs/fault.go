package certs

import (
	"fmt"
	"strings"
)

// Fault is why a file cannot be used.
type Fault struct {
	File string // the file that it is about, as it was named
	What string // what is wrong with it: a clause without a full stop, whose subject is the file
	Do   string // what to do about it, an imperative sentence without a full stop

	keyless bool // it is a certificate where a key is wanted
}

// Error says all of it on one line.
func (f *Fault) Error() string { return fmt.Sprintf("%s: %s; %s", f.File, f.What, f.Do) }

// faultf makes a Fault whose text has arguments in it. In what to do, FILE stands for the file.
func faultf(file, do, what string, arguments ...any) *Fault {
	return &Fault{File: file, What: fmt.Sprintf(what, arguments...), Do: strings.ReplaceAll(do, "FILE", file)}
}
