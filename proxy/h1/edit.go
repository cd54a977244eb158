package h1

import (
	"bytes"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

// A received head lies in a buffer with spare bytes before it. It is forwarded by editing it there, its end
// staying where it is, so that head and body behind it go out in one piece:
//
//	floor    start                          start+Len
//	|........|GET http://h/p HTTP/1.0|A|B|C|CRLF|body
//	|...|GET /p HTTP/1.1|added|A|C|CRLF|body
//
// The order of work makes it safe in overlapping memory. Kept fields move right, from the last to the
// first, each run of adjacent lines in one copy; what is still needed of the old start line is not touched
// by that. Then the start line's parts move to their new places, and only then are the additions written,
// over what has been moved away.

const removed = FieldHop | FieldDrop

// RewriteRequest turns the parsed request head at mem[start:start+p.Len] into the one that is forwarded:
// the line "METHOD target HTTP/1.1", then add (complete field lines, each with its CRLF), then the fields
// without FieldHop or FieldDrop in their order, then the empty line. It may use mem[floor:start], and
// returns where the new head begins; its end is where it was. When there is no room, or the result would
// exceed MaxHead, it returns false and has changed nothing.
//
// With a nil target the one received is used, in origin-form: "/" stands for an empty path, "*" for OPTIONS
// without path and query. Otherwise target, which must be valid as a request target, is written; it may be
// part of the old request line but of nothing else in mem. add must lie outside mem. With a target in
// absolute-form its authority is written as the Host field before add, instead of the one received (RFC
// 9112, section 3.2.2). A request of HTTP/1.0 without Host gets none here: the caller adds it.
//
// Afterwards p.Len is the new length and all Refs are relative to the new start and name the same bytes as
// before, with a new target its parts. A removed field's Refs are empty and Get does not find it. A head is
// rewritten once.
func (p *Parser) RewriteRequest(mem []byte, floor, start int, target, add []byte) (newStart int, ok bool) {
	if p.Form != FormAbsolute {
		return p.rewriteRequest(mem, floor, start, target, nil, add)
	}
	var host [authorityMax]byte
	n := copy(host[:], p.Authority.In(mem[start:]))
	return p.rewriteRequest(mem, floor, start, target, host[:n], add)
}

const (
	lineEnd    = " HTTP/1.1\r\n"
	hostPrefix = "Host: "
)

// RewrittenRequestLen is the length of the head that RewriteRequest would make with an addition of add bytes, so
// that a caller can find a buffer which has room for it.
func (p *Parser) RewrittenRequestLen(target []byte, add int) int {
	n := int(p.MethodRef.Len) + 1 + len(lineEnd) + add + p.keptLen()
	if target != nil {
		n += len(target)
	} else {
		from, prefix := p.originForm()
		n += p.Target.End() - from + len(prefix)
	}
	if p.Form == FormAbsolute {
		n += len(hostPrefix) + int(p.Authority.Len) + len("\r\n")
	}
	return n
}

// originForm tells what is forwarded as target: prefix, then the received one from the offset from on.
func (p *Parser) originForm() (from int, prefix string) {
	switch {
	case p.Form != FormAbsolute:
		return int(p.Target.Off), ""
	case p.Path.Len > 0:
		return int(p.Path.Off), ""
	case p.Query.Off > 0:
		return int(p.Query.Off) - 1, "/"
	case p.Method == OPTIONS:
		return p.Target.End(), "*"
	}
	return p.Target.End(), "/"
}

func (p *Parser) rewriteRequest(mem []byte, floor, start int, target, host, add []byte) (int, bool) {
	at, ok := p.newStart(floor, start, p.RewrittenRequestLen(target, len(add)))
	if !ok {
		return 0, false
	}
	prefix := ""
	if target == nil {
		var from int
		from, prefix = p.originForm()
		target = mem[start+from : start+p.Target.End()]
	}
	var method [MethodBytesMax]byte
	copy(method[:], p.MethodRef.In(mem[start:]))
	p.moveFields(mem, start, at)

	m := int(p.MethodRef.Len)
	b := mem[at:]
	t := m + 1 + len(prefix)
	end := t + copy(b[t:], target)
	copy(b[m+1:t], prefix)
	b[m] = ' '
	copy(b, method[:m])
	p.MethodRef = span(0, m)
	p.retarget(b, m+1, end)
	end += copy(b[end:], lineEnd)
	if host != nil {
		end += copy(b[end:], hostPrefix)
		p.Authority = span(end, end+len(host))
		end += copy(b[end:], host)
		end += copy(b[end:], "\r\n")
	}
	p.Added = span(end, end+copy(b[end:], add))
	return at, true
}

// retarget finds the Refs of a request again, now that the target is b[from:end]. Authority is set for all
// forms but the absolute one.
func (p *Parser) retarget(b []byte, from, end int) {
	p.Target, p.Path, p.Query, p.Authority = span(from, end), Ref{}, Ref{}, Ref{}
	if target := b[from:end]; len(target) > 0 && target[0] == '/' {
		p.Path = p.Target
		if q := bytes.IndexByte(target, '?'); q >= 0 {
			p.Path = span(from, from+q)
			p.Query = span(from+q+1, end)
		}
	}
	if p.Form == FormAuthority {
		p.Authority = p.Target
	} else if i, ok := p.Get(FieldHost); ok {
		p.Authority = p.Fields[i].Value
	}
}

// RewriteResponse does for a response head what RewriteRequest does for a request's. Its first line becomes
// "HTTP/1.1 SSS reason".
func (p *Parser) RewriteResponse(mem []byte, floor, start int, add []byte) (newStart int, ok bool) {
	at, ok := p.newStart(floor, start, p.RewrittenResponseLen(len(add)))
	if !ok {
		return 0, false
	}
	reason := p.Reason.In(mem[start:])
	p.moveFields(mem, start, at)
	b := mem[at:]
	const from = statusBytes + 1
	end := from + copy(b[from:], reason)
	p.Reason = span(from, end)
	copy(b, "HTTP/1.1 ")
	b[9], b[10], b[11], b[12] = byte('0'+p.Status/100), byte('0'+p.Status/10%10), byte('0'+p.Status%10), ' '
	end += copy(b[end:], "\r\n")
	copy(b[end:], add)
	return at, true
}

// RewrittenResponseLen is the length of the head that RewriteResponse would make with an addition of add bytes.
func (p *Parser) RewrittenResponseLen(add int) int {
	return statusBytes + 1 + int(p.Reason.Len) + len("\r\n") + add + p.keptLen()
}

// newStart is where a head of the given length begins, and whether it may.
func (p *Parser) newStart(floor, start, size int) (int, bool) {
	if invariant.Enabled && (p.code != OK || p.edited) {
		invariant.Fail("head rewritten twice or before it was parsed")
	}
	at := start + p.Len - size
	if at < floor || size > MaxHead {
		return 0, false
	}
	p.edited = true
	return at, true
}

// keptLen is the length of the field lines that stay, and of the empty line.
func (p *Parser) keptLen() int {
	n := 0
	end := p.Len - len("\r\n")
	for i := p.N - 1; i >= 0; i-- {
		from := int(p.Fields[i].Name.Off)
		if p.Fields[i].Flags&removed == 0 {
			n += end - from
		}
		end = from
	}
	return n + len("\r\n")
}

// moveFields moves the kept field lines to the end of the head, and makes the Refs relative to the new
// start, at. It sets p.Len.
func (p *Parser) moveFields(mem []byte, start, at int) {
	head := mem[start : start+p.Len]
	end := p.Len - len("\r\n") // of the line under consideration, where it was received
	run := end                 // end of the run of kept lines that it belongs to
	gap := 0                   // bytes removed behind the run
	p.index = [fieldIDs]uint8{}
	for i := p.N - 1; i >= 0; i-- {
		f := &p.Fields[i]
		from := int(f.Name.Off)
		if f.Flags&removed == 0 {
			shift := uint16(start - at + gap)
			f.Name.Off += shift
			f.Value.Off += shift
			p.index[f.ID] = uint8(i + 1)
		} else {
			if gap > 0 {
				copy(head[end+gap:], head[end:run])
			}
			gap += end - from
			run = from
			f.Name, f.Value = Ref{}, Ref{}
		}
		end = from
	}
	if gap > 0 {
		copy(head[end+gap:], head[end:run])
	}
	p.index[FieldOther] = 0
	p.Len += start - at
}
