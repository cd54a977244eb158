package report

import (
	"fmt"

	"github.com/uringproxy/uringproxy/perf/result"
)

// look is how a peer is drawn, everywhere in a page: a colour, and for eyes or printers without colours the dashes of
// its line and the shape of its marks.
type look struct {
	class string // of page.css, where the colour is
	dash  string // stroke-dasharray
	mark  string // a path around 0, 0
	width string // of lines
}

const ownLooks, otherLooks = 2, 5

var dashes = []string{"", "7 4", "2 3", "9 3 2 3", "4 2"}

var marks = []string{
	"M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", // circle
	"M0-5L5 0L0 5L-5 0z",                 // diamond
	"M-4-4H4V4H-4z",                      // square
	"M0-5L5 4H-5z",                       // triangle up
	"M0 5L-5-4H5z",                       // triangle down
	"M-5-2H-2V-5H2V-2H5V2H2V5H-2V2H-5z",  // cross
}

// looksOf gives each peer a look. Ours have the first marks, solid and heavier lines and colours of their own.
func looksOf(r *result.Run) map[string]look {
	looks := map[string]look{}
	own, others := split(r)
	for i, p := range own {
		looks[p.Name] = look{fmt.Sprintf("own%d", i%ownLooks), dashes[i%ownLooks], marks[i%ownLooks], "2.5"}
	}
	for i, p := range others {
		looks[p.Name] = look{fmt.Sprintf("peer%d", i%otherLooks), dashes[i%len(dashes)],
			marks[ownLooks+i%(len(marks)-ownLooks)], "1.75"}
	}
	return looks
}
