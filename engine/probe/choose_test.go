package probe

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// having makes findings in which all but the named features are there.
func having(missing map[string]error) Findings {
	fs := make(Findings, len(features))
	for i := range features {
		fs[i] = Finding{&features[i], Yes, nil}
		if err, ok := missing[features[i].Name]; ok {
			fs[i].Verdict, fs[i].Err = No, err
		}
	}
	return fs
}

func TestUringTier(t *testing.T) {
	gone := absent{errors.New("gone")}
	passes := func(Tier) error { return nil }
	failsAbove := func(high Tier) func(Tier) error {
		return func(t Tier) error {
			if t > high {
				return unix.EIO
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		missing map[string]error
		forced  Tier
		try     func(Tier) error
		want    Tier // Optional: none
		words   string
	}{
		"everything":      {nil, Optional, passes, T3, ""},
		"no EPOLL_WAIT":   {map[string]error{"IORING_OP_EPOLL_WAIT": gone}, Optional, passes, T2, ""},
		"no minimum wait": {map[string]error{"IORING_FEAT_MIN_TIMEOUT": gone}, Optional, passes, T1, ""},
		"no buffer rings": {map[string]error{"buffer rings": gone}, Optional, passes, Optional,
			"tier T1 needs buffer rings"},
		"optional ones missing": {map[string]error{"IORING_SETUP_NO_SQARRAY": gone}, Optional, passes, T3, ""},
		"self-test of T3 fails": {nil, Optional, failsAbove(T2), T2, "self-test of tier T3: input/output error"},
		"self-tests fail":       {nil, Optional, failsAbove(T0), Optional, "self-test of tier T1: input/output error"},
		"forced T1":             {nil, T1, passes, T1, ""},
		"forced T3, missing": {map[string]error{"IORING_OP_EPOLL_WAIT": gone}, T3, passes, Optional,
			"use Linux 6.15 or later"},
		"forced T2, fails": {nil, T2, failsAbove(T1), Optional, "self-test of tier T2"},
	} {
		t.Run(name, func(t *testing.T) {
			h := readHost()
			fs := having(c.missing)
			best, passed, failed := fs.uringTier(&h, c.forced, c.try)
			if passed != (c.want != Optional) || passed && best != c.want {
				t.Errorf("tier %s, %v; want %s", best, passed, c.want)
			}
			text := ""
			if failed != nil {
				text = failed.Error()
			}
			if !strings.Contains(text, c.words) || !passed && failed == nil {
				t.Errorf("obstacle %q does not say %q", text, c.words)
			}
			if !passed {
				return
			}
			why := whyUring(&h, &fs, best, failed)
			if !strings.Contains(why, "tier "+best.String()) || !strings.Contains(why, "self-test passed") ||
				best < T3 && c.forced == Optional && !strings.Contains(why, "tier "+(best+1).String()) {
				t.Errorf("reason %q does not name the tier and what a higher one needs", why)
			}
		})
	}
}

func TestChooseRefusesNonsense(t *testing.T) {
	for _, c := range []struct {
		want  Want
		words string
	}{
		{Want{Engine: "kqueue"}, `engine "kqueue": must be "auto", "uring" or "epoll"`},
		{Want{Tier: "T9"}, `tier "T9": must be`},
		{Want{Engine: Uring, Tier: "T0"}, `tier "T0" is epoll`},
		{Want{Engine: Epoll, Tier: "T2"}, `tier "T2" is one of io_uring`},
	} {
		if _, err := Choose(c.want); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%+v: error %v, want one with %q", c.want, err, c.words)
		}
	}
}

func TestChooseEpoll(t *testing.T) {
	for _, want := range []Want{
		{Engine: Epoll}, {Engine: Epoll, Tier: "T0"}, {Tier: "t0"}, {Engine: Epoll, Tier: "auto"},
	} {
		c, err := Choose(want)
		if err != nil || c.Engine != Epoll || c.Tier != "T0" || c.Why != "epoll, as configured" {
			t.Errorf("%+v: %q %q %q, %v", want, c.Engine, c.Tier, c.Why, err)
		}
	}
}

// TestChooseAgreesWithItself holds on any host: what auto finds can be asked for by name.
func TestChooseAgreesWithItself(t *testing.T) {
	auto, err := Choose(Want{Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(auto.Features) != len(features) || auto.Why == "" {
		t.Errorf("%d findings for %d features, reason %q", len(auto.Features), len(features), auto.Why)
	}
	_, err = Choose(Want{Engine: Uring})
	var o *Obstacle
	if auto.Engine == Uring && err != nil || auto.Engine == Epoll && !errors.As(err, &o) {
		t.Errorf("auto chose %s, asking for uring gives %v", auto.Engine, err)
	}
	for tier := T1; auto.Engine == Uring && tier.String() <= auto.Tier; tier++ {
		c, err := Choose(Want{Tier: tier.String()})
		if err != nil || c.Engine != Uring || c.Tier != tier.String() {
			t.Errorf("forced %s: %q %q, %v", tier, c.Engine, c.Tier, err)
		}
	}
}
