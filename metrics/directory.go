package metrics

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Quarantine is how long a series of something that was removed stays with its name at least: long enough for every
// scraper to have read its last values.
const Quarantine = 10 * time.Minute

// Directory gives the names of listeners, services and routes their series.
//
// Series are handed out in the order of asking; who comes when there is none left is counted as Other, and stays so
// until it is removed. What is removed keeps its series, and gets it again if it comes back. The series is free
// for another name after Quarantine, when no shard uses a configuration any more that has the old name, and none of its
// connections is open; so what is counted for one name never turns up under another. The new name's values begin at
// zero.
//
// Any goroutine may use it; the shards never do.
type Directory struct {
	mu      sync.Mutex
	rosters [SeriesKinds]roster
	set     *Set
}

// roster is the series of one kind.
type roster struct {
	entries []entry // by series
	byName  map[string]Series
	free    []Series
}

// entry is one series.
type entry struct {
	name   string    // empty: free
	since  time.Time // the first Settle that found the name; zero: there was none yet
	goneAt time.Time // zero: it is there
	goneIn uint64    // the generation of the first snapshot that had it no more
	before SeriesValues
}

// NewDirectory makes a directory in which there is Other alone.
func NewDirectory() *Directory {
	d := new(Directory)
	for k := range d.rosters {
		d.rosters[k] = roster{entries: []entry{{name: OtherName}}, byName: map[string]Series{}}
	}
	return d
}

// NewSet makes the metrics of n shards, whose series d names. A directory has one set.
func (d *Directory) NewSet(n int) *Set {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set = &Set{shards: make([]Shard, n), directory: d}
	for k := range SeriesKinds {
		for id := 0; id < len(d.rosters[k].entries); id += blocks {
			d.set.provide(k, Series(id))
		}
	}
	return d.set
}

// provide gives a series its memory on every shard.
func (s *Set) provide(k SeriesKind, id Series) {
	for i := range s.shards {
		if at := &s.shards[i].series[k][id/blocks]; *at == nil {
			*at = new(chunk)
		}
	}
}

// Assign is the series of a name: the one it has, or a free one, or Other. A snapshot that names it may be published
// when Assign has returned.
func (d *Directory) Assign(k SeriesKind, name string) Series {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &d.rosters[k]
	if id, ok := r.byName[name]; ok {
		r.entries[id].goneAt = time.Time{}
		return id
	}
	var id Series
	switch last := len(r.free) - 1; {
	case last >= 0:
		id, r.free = r.free[last], r.free[:last]
		r.entries[id] = entry{name: name, before: r.entries[id].before} // the time of its first Settle is to come
	case len(r.entries) < seriesMax[k]:
		id = Series(len(r.entries))
		r.entries = append(r.entries, entry{name: name})
		if d.set != nil {
			d.set.provide(k, id)
		}
	default:
		return Other
	}
	r.byName[name] = id
	return id
}

// Settle says which of the names are in a snapshot of that generation, whose time is now. It is called once for each
// kind when the snapshot has been made.
func (d *Directory) Settle(k SeriesKind, generation uint64, now time.Time, has func(name string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &d.rosters[k]
	for i := range r.entries {
		e := &r.entries[i]
		if e.name == "" {
			continue
		}
		if e.since.IsZero() {
			e.since = now
		}
		switch {
		case i == int(Other):
		case has(e.name):
			e.goneAt = time.Time{}
		case e.goneAt.IsZero():
			e.goneAt, e.goneIn = now, generation
		case now.Sub(e.goneAt) >= Quarantine:
			d.retire(k, Series(i))
		}
	}
}

// retire frees a series, unless something may still be counted for its name.
func (d *Directory) retire(k SeriesKind, id Series) {
	r := &d.rosters[k]
	e := &r.entries[id]
	if d.set == nil || d.set.oldest() < e.goneIn {
		return
	}
	v := d.set.sum(k, id)
	if v.Open != 0 || v.Idle != 0 {
		return
	}
	delete(r.byName, e.name)
	*e = entry{before: v}
	r.free = append(r.free, id)
}

// Oldest is the generation of the oldest snapshot that a shard uses; 0 while one has none yet, or nothing is counted.
func (d *Directory) Oldest() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.set == nil {
		return 0
	}
	return d.set.oldest()
}

// oldest is the generation of the oldest snapshot that a shard uses; 0 while one has none yet.
func (s *Set) oldest() uint64 {
	least := ^uint64(0)
	for i := range s.shards {
		least = min(least, uint64(s.shards[i].gauge(OldestGeneration)))
	}
	return least
}

// sum adds up what all shards have counted for a series.
func (s *Set) sum(k SeriesKind, id Series) (v SeriesValues) {
	for i := range s.shards {
		v.add(s.shards[i].series.block(k, id))
	}
	return v
}

// Series are the values of all series of a kind that have a name, those included whose name was removed a short time
// ago, by name. Other is the last, and there only if it was used.
func (s *Set) Series(k SeriesKind) []SeriesValues {
	d := s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]SeriesValues, 0, len(d.rosters[k].entries))
	for i := range d.rosters[k].entries {
		e := &d.rosters[k].entries[i]
		if e.name == "" {
			continue
		}
		v := s.sum(k, Series(i))
		v.subtract(&e.before)
		v.Name, v.Since = e.name, e.since
		all = append(all, v)
	}
	other := all[0]
	all = all[1:]
	slices.SortFunc(all, func(a, b SeriesValues) int { return strings.Compare(a.Name, b.Name) })
	if other.Total()+other.Opened+other.Refused > 0 {
		all = append(all, other)
	}
	return all
}
