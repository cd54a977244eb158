package peer

import (
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// IRQApart reports whether the kernel is built to account the time of interrupts, and of what they leave to be done
// (softirq, which is where loopback's packets are received), to nobody: CPUTime is without it then, whoever caused it.
// A kernel that does not tell how it was built is taken for one that accounts it to the process it interrupted.
var IRQApart = sync.OnceValue(func() bool {
	if f, err := os.Open("/proc/config.gz"); err == nil {
		defer f.Close()
		if text, err := gzip.NewReader(f); err == nil {
			return accountsIRQ(text)
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	f, err := os.Open("/boot/config-" + unix.ByteSliceToString(name.Release[:]))
	if err != nil {
		return false
	}
	defer f.Close()
	return accountsIRQ(f)
})

// accountsIRQ looks into a kernel's configuration.
func accountsIRQ(config io.Reader) bool {
	for lines := bufio.NewScanner(config); lines.Scan(); {
		if lines.Text() == "CONFIG_IRQ_TIME_ACCOUNTING=y" {
			return true
		}
	}
	return false
}
