package proxy

import (
	"bytes"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// normalizePath returns the path that x's request is matched by, and the target to forward in place of the one that was
// received; nil: that one. Nearly all paths are in normal form as they come. Both are valid until the next call or
// until the head is edited. A path that is refused leaves a fault in x.
//
// The absolute-form may leave the path out, and OPTIONS may ask for "*": both are matched as the root.
func (w *Worker) normalizePath(x *exchange, paths *plan.Paths) (path, target []byte) {
	if x.req.Path.Len == 0 {
		return root, nil
	}
	head := w.mem.Bytes(x.head.span)
	received := x.req.Path.In(head)
	if urlpath.Normal(received) {
		return received, nil
	}
	path, x.fault = urlpath.Normalize(w.target[:0], received, paths.Policy)
	if paths.ForwardReceived || bytes.Equal(path, received) {
		return path, nil
	}
	target = path
	if x.req.Query.Off > 0 { // there is a question mark, with nothing behind it perhaps
		target = append(append(target, '?'), x.req.Query.In(head)...)
	}
	return path, target
}

var root = []byte("/")

// keepTarget copies path and query as they were received to where the log finds them when the head has been edited. It
// reports false when there is no buffer.
func (w *Worker) keepTarget(x *exchange) bool {
	received := w.mem.Bytes(x.head.span)[x.req.Path.Off:x.req.Target.End()]
	class := mem.Small
	if len(received) > mem.SmallBytes {
		class = mem.Head
	}
	buf, ok := w.mem.Take(class)
	if !ok {
		return false
	}
	at := w.mem.Data(buf)
	x.asked = held{mem.Span{Off: at.Off, Len: uint32(copy(w.mem.Bytes(at), received))}, buf}
	return true
}
