package admin

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync/atomic"
)

// made is a process that the test makes up.
type made struct {
	reloads  atomic.Int64
	fails    atomic.Bool
	draining atomic.Bool
	routes   int           // in all, each with a hundred bytes
	left     chan struct{} // closed when somebody wants no more of them
	asked    chan struct{} // nil, or gets an element when somebody asks for figures,
	tell     chan struct{} // who are told when they get one here,
	over     chan struct{} // until this is closed
	inside   atomic.Int64  // who are being told
	crowded  atomic.Bool   // there were two of them
	big      int           // how many shards there are beyond the first
}

// slowly waits as long as figures take.
func (m *made) slowly() {
	defer m.inside.Add(-1)
	if m.inside.Add(1) > 1 {
		m.crowded.Store(true)
	}
	if m.asked == nil {
		return
	}
	select {
	case m.asked <- struct{}{}:
		<-m.tell
	case <-m.over:
	}
}

func (m *made) Ready() bool { return !m.draining.Load() }

func (m *made) Status() Status {
	m.slowly()
	return Status{Version: "v1", PID: 7, State: "serving", Config: Config{
		Generation: uint64(m.reloads.Load()), Waiting: []string{"engine.shards"},
		Listeners: []Listener{{Name: "web", Address: ":80", Protocol: "http"}},
	}, Traffic: Traffic{Snapshots: []*int64{new(int64(1)), nil}}}
}

func (m *made) Reload() Reloaded {
	m.reloads.Add(1)
	r := Reloaded{Reload: Reload{Trigger: "api", OK: !m.fails.Load()}, Config: m.Status().Config}
	if !r.Reload.OK {
		r.Reload.FaultsFound = 1
		r.Reload.Faults = []Fault{{File: "my.toml", Line: 3, Key: "a<b", Text: "my.toml:3:1: no", Excerpt: "^"}}
	}
	return r
}

func (m *made) Running() *Running {
	return &Running{
		Generation: 3, Source: "my <toml>", Listeners: []RunningListen{{Name: "web", Address: ":80"}},
		Services: func(yield func(RunningService) bool) {
			yield(RunningService{Name: "app", Endpoints: []RunningEndpoint{{URL: "http://a", Address: "10.0.0.1:80"}}})
		},
		Routes: func(yield func(RunningRoute) bool) {
			for i := range m.routes {
				rule := fmt.Sprintf("Host(`h%d.test`) && Path(`/%s`)", i, strings.Repeat("x", 100))
				if yield(RunningRoute{Name: fmt.Sprint("r", i), Rule: rule, Service: "app"}) {
					continue
				}
				if m.left != nil {
					close(m.left)
				}
				return
			}
		},
	}
}

func (m *made) Explain(q *Question) (any, error) {
	if q.URL == "bad" {
		return nil, errors.New("read URL: bad")
	}
	return q, nil
}

func (m *made) Metrics() *Metrics {
	m.slowly()
	f := Figures{Duration: Distribution{Count: 3, Sum: 30, Buckets: [][2]uint64{{5, 1}, {12, 2}}}}
	all := &Metrics{PID: 7, Shards: []Figures{f}}
	for i := range m.big {
		f.ID = i
		f.Duration.Buckets = slices.Repeat([][2]uint64{{math.MaxUint64, math.MaxUint64}}, 2000)
		all.Shards = append(all.Shards, f)
	}
	return all
}

func (m *made) WriteMetrics(w io.Writer, openMetrics bool) error {
	m.slowly()
	if m.fails.Load() {
		fmt.Fprint(w, strings.Repeat("x 1\n", bufferBytes))
		return errors.New("half way")
	}
	_, err := fmt.Fprintf(w, "x %v\n", openMetrics)
	return err
}
