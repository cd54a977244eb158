package probe

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine/uring"
)

// TestFeaturesMatchTheirKernel fails when a feature is missing although the kernel is new enough: then the probe or
// the table is wrong. What a sysctl, a filter or a limit forbids says nothing about the kernel.
func TestFeaturesMatchTheirKernel(t *testing.T) {
	h := readHost()
	for _, f := range Features() {
		if f.Verdict == Yes || h.version.Less(f.Since) {
			continue
		}
		if errors.Is(f.Err, unix.EPERM) || errors.Is(f.Err, unix.ENOMEM) || errors.Is(f.Err, unix.ENOSYS) && h.seccomp {
			t.Logf("%s: could not tell: %v", f.Name, f.Err)
			continue
		}
		t.Errorf("%s: %s (%v) on Linux %s, but the table says since %s", f.Name, f.Verdict, f.Err, h.release, f.Since)
	}
}

func TestFeaturesLeaveNothingBehind(t *testing.T) {
	Features() // the first run may open what the runtime keeps
	before := descriptors(t)
	for range 20 {
		Features()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestTableAgreesWithTheEngine compares the tiers that the table makes available with the engine's own judgement, on
// which it depends whether it opens.
func TestTableAgreesWithTheEngine(t *testing.T) {
	support, err := uring.Probe()
	fs := Features()
	if err != nil {
		if fs.Missing(T1) == nil {
			t.Errorf("the table has all for tier T1, the engine says %v", err)
		}
		return
	}
	for tier := T1; tier <= T3; tier++ {
		missing, lacks := fs.Missing(tier), support.Lacks(tier.String())
		if (missing == nil) != (len(lacks) == 0) {
			t.Errorf("tier %s: the table misses %+v, the engine %q", tier, missing, lacks)
		}
	}
}

func TestFeatureNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range features {
		if seen[f.Name] {
			t.Errorf("%s appears twice", f.Name)
		}
		seen[f.Name] = true
	}
}

// leastKernel is the least kernel on which a tier can work.
func leastKernel(tier Tier) Version {
	var least Version
	for _, f := range features {
		if f.Tier != Optional && f.Tier <= tier && least.Less(f.Since) {
			least = f.Since
		}
	}
	return least
}
