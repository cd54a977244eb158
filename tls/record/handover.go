package record

import (
	"errors"
	"fmt"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

// resume finds out how many records have been sealed with h's key by trying it on all that were written, and goes on
// behind them. A record opens under exactly one key and number, so what it finds is certain; what it relies on is that
// nothing is missing at the end of written.
func (h *Half) resume(written []byte) (records int, err error) {
	if len(written) > 0 && contentType(written[0]) != typeHandshake {
		return 0, errors.New("find write sequence number: what was written does not begin with a hello: " +
			"all of it is needed")
	}
	for rest := written; len(rest) > 0; {
		if len(rest) < headerLen || len(rest) < headerLen+bodyLen(rest) {
			return 0, fmt.Errorf("find write sequence number: the last %d bytes written are no whole record", len(rest))
		}
		n := headerLen + bodyLen(rest)
		rec := append([]byte(nil), rest[:n]...)
		rest = rest[n:]
		if _, _, _, fault := h.open(rec); fault == none {
			records++
			continue
		}
		if records > 0 {
			return 0, fmt.Errorf("find write sequence number: a record behind the first %d under these keys is not "+
				"theirs", records)
		}
	}
	if invariant.Enabled {
		witnessed(h.id, h.seq)
	}
	return records, nil
}
