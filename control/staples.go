package control

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// staples are the authorities' answers about certificates: those in files, and those that are fetched. A certificate
// with one is another value than without, and stays the same one as long as the answer does.
type staples struct {
	files map[*certs.Certificate]*certs.Certificate // by the certificate without
	asked map[*certs.Certificate]*asked
	fetch func(context.Context, *certs.Certificate) (der []byte, next time.Time, err error)
}

// asked is what became of asking about a certificate.
type asked struct {
	stapled  *certs.Certificate // nil: there is no answer
	due      time.Time          // when to ask, or ask again
	failures int                // in a row
	never    bool               // its authority answers nobody
}

func newStaples() staples {
	return staples{
		files: map[*certs.Certificate]*certs.Certificate{}, asked: map[*certs.Certificate]*asked{}, fetch: certs.Fetch,
	}
}

// fromFile is c with the answer in a file, or without if that is none: most clients do without it.
func (s *staples) fromFile(log *slog.Logger, c *certs.Certificate, file string, now time.Time) *certs.Certificate {
	stapled, err := c.WithStapleFile(file, now)
	if err != nil {
		log.Warn("certificate without a stapled response", "certificate", c.Source, "error", err)
		delete(s.files, c)
		return c
	}
	if before := s.files[c]; before != nil && bytes.Equal(before.TLS.OCSPStaple, stapled.TLS.OCSPStaple) {
		return before
	}
	s.files[c] = stapled
	return stapled
}

// fetched is a list with the answers that there are. Those that are missing will be asked for.
func (s *staples) fetched(list []*certs.Certificate, now time.Time) []*certs.Certificate {
	all := make([]*certs.Certificate, len(list))
	for i, c := range list {
		a := s.asked[c]
		if a == nil {
			a = &asked{due: now}
			s.asked[c] = a
		}
		if all[i] = c; a.stapled != nil && now.Before(a.stapled.StapleUntil) {
			all[i] = a.stapled
		}
	}
	return all
}

// prune forgets the certificates that sec does not want an answer about.
func (s *staples) prune(sec *secured) {
	filed, fetched := map[*certs.Certificate]bool{}, map[*certs.Certificate]bool{}
	for _, t := range sec.listeners {
		kept := filed
		if t.said.Stapling == config.StaplingFetch {
			kept = fetched
		}
		for _, c := range t.list {
			kept[c.Unstapled()] = true
		}
	}
	maps.DeleteFunc(s.files, func(c, _ *certs.Certificate) bool { return !filed[c] })
	maps.DeleteFunc(s.asked, func(c *certs.Certificate, _ *asked) bool { return !fetched[c] })
}

// due are the certificates to ask about now, and when the next one is.
func (s *staples) due(now time.Time) (list []*certs.Certificate, next time.Time) {
	for c, a := range s.asked {
		switch {
		case a.never:
		case !now.Before(a.due):
			list = append(list, c)
		case next.IsZero() || a.due.Before(next):
			next = a.due
		}
	}
	return list, next
}

// answer is what came of asking about one certificate.
type answer struct {
	about *certs.Certificate
	der   []byte
	next  time.Time
	err   error
}

// maxFetches bounds how many authorities are asked side by side.
const maxFetches = 4

// fetchAll asks about all of a list.
func fetchAll(
	ctx context.Context, list []*certs.Certificate,
	fetch func(context.Context, *certs.Certificate) ([]byte, time.Time, error),
) []answer {
	answers := make([]answer, len(list))
	var all sync.WaitGroup
	slots := make(chan struct{}, maxFetches)
	for i, c := range list {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			answers[i].about = c
			answers[i].der, answers[i].next, answers[i].err = fetch(ctx, c)
		})
	}
	all.Wait()
	return answers
}

const (
	// firstPatience is how long after a failure an authority is asked again; it doubles until longestPatience.
	firstPatience   = time.Minute
	longestPatience = time.Hour
)

// take takes answers in, and reports whether one of them is new.
func (s *staples) take(log *slog.Logger, answers []answer, now time.Time) (changed bool) {
	for _, got := range answers {
		a := s.asked[got.about]
		if a == nil {
			continue // it has gone meanwhile
		}
		err := got.err
		var stapled *certs.Certificate
		if err == nil {
			stapled, err = got.about.WithStaple(got.der, now)
		}
		switch {
		case errors.Is(err, certs.ErrNoResponder):
			a.never = true
			log.Debug("nobody to ask about a certificate", "certificate", got.about.Source)
		case err != nil:
			a.due = now.Add(spread(min(firstPatience<<min(a.failures, 10), longestPatience)))
			if a.failures++; a.failures == 1 {
				log.Warn("no response to staple to a certificate, it will be asked for again", "certificate",
					got.about.Source, "error", err)
			}
		default:
			a.failures, a.due = 0, now.Add(spread(got.next.Sub(now)))
			if a.stapled == nil || !bytes.Equal(a.stapled.TLS.OCSPStaple, stapled.TLS.OCSPStaple) {
				a.stapled, changed = stapled, true
			}
		}
	}
	return changed
}

// spread is d, give or take a tenth, so that not all of many ask at once.
func spread(d time.Duration) time.Duration {
	d = max(d, time.Second)
	return d - d/10 + rand.N(d/5)
}
