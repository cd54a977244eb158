package h1

import "github.com/uringproxy/uringproxy/internal/invariant"

// Ref is a range of a head's bytes, relative to the head's first byte.
type Ref struct{ Off, Len uint16 }

// In is the range's bytes. They are head's, not a copy.
func (r Ref) In(head []byte) []byte { return head[r.Off : int(r.Off)+int(r.Len)] }

// End is the offset behind the range's last byte.
func (r Ref) End() int { return int(r.Off) + int(r.Len) }

func span(from, to int) Ref { return Ref{uint16(from), uint16(to - from)} }

const (
	// MaxFields is the largest number of fields a head may have.
	MaxFields = 100
	// MaxHead is the largest number of bytes a head may have: a Ref reaches no further.
	MaxHead = 64<<10 - 1
)

// Limits bound a head. A limit of zero, or beyond the maximum, is the maximum.
type Limits struct {
	LineBytes   int // start line, its CRLF included
	HeaderBytes int // whole head, from its first byte to the empty line's CRLF; at most MaxHead
	Fields      int // field lines; at most MaxFields
}

// Form is the form of a request target (RFC 9112, section 3.2).
type Form uint8

const (
	FormOrigin    Form = iota // path and query
	FormAbsolute              // scheme, authority, path and query
	FormAsterisk              // "*", with OPTIONS only
	FormAuthority             // host and port, with CONNECT only
)

// Head is what a message head says. All of it is valid once Feed returned OK; before that only what its bytes so
// far have told, which may serve an error's log line.
type Head struct {
	N             int   // number of fields
	Len           int   // bytes of the head, from the first byte given to Feed to the empty line's CRLF
	ContentLength int64 // -1: there is none, and a request has no body unless Chunked
	Minor         uint8 // of the version: 0 or 1; a higher one counts as 1 (RFC 9110, section 2.5)
	Chunked       bool  // the body is chunked
	KeepAlive     bool  // version and Connection allow another message on this connection
	// Upgrade tells that protocols are named to which the connection may be switched, or has been, by Upgrade and
	// Connection together; never in HTTP/1.0 and in responses other than 101.
	Upgrade bool

	// Requests only.
	Method         Method
	Form           Form
	Secure         bool // absolute-form with the scheme https
	ExpectContinue bool // the client waits for 100 (Continue); never in HTTP/1.0
	MethodRef      Ref
	Target         Ref
	Authority      Ref // host and port asked for: the target's, else Host's; empty in HTTP/1.0 without Host
	Path           Ref // up to '?'. Empty without one: in asterisk- and authority-form; in absolute-form it means "/"
	Query          Ref // behind '?'; Off is 0 when there is no '?'
	Added          Ref // what RewriteRequest has added

	// Responses only.
	Status uint16 // 100 to 999
	Reason Ref
}

// Parser parses one message head. The zero value must be Reset first. It holds no pointers.
type Parser struct {
	Head
	Fields [MaxFields]Field // the first N are in use, in the order received
	state
}

// state is what a Parser keeps between two calls of Feed.
type state struct {
	step     step
	part     part // of the request target
	code     Code // what Feed answered last
	response bool
	edited   bool
	headMax  int
	lineMax  int
	fieldMax int
	line     int             // offset of the start line
	mark     int             // offset of the element being read
	pos      int             // bytes before it are done with
	index    [fieldIDs]uint8 // 1 + number of the first field with that ID; 0: none
}

// step is where in the head the next byte belongs.
type step uint8

const (
	stepStart step = iota
	stepMethod
	stepTarget
	stepVersion
	stepStatus
	stepReason
	stepReasonLF
	stepField // first byte of a field line, or of the empty line
	stepName
	stepSpace
	stepValue
	stepValueLF
	stepEndLF
)

// ResetRequest prepares p for a request's head.
func (p *Parser) ResetRequest(l *Limits) { p.reset(l, false) }

// ResetResponse prepares p for a response's head.
func (p *Parser) ResetResponse(l *Limits) { p.reset(l, true) }

func (p *Parser) reset(l *Limits, response bool) {
	p.Head = Head{}
	p.state = state{}
	p.ContentLength = -1
	p.code = NeedMore
	p.headMax = bound(l.HeaderBytes, MaxHead)
	p.lineMax = bound(l.LineBytes, MaxHead)
	p.fieldMax = bound(l.Fields, MaxFields)
	if response {
		p.response = true
		p.step = stepStatus
	}
}

func bound(limit, most int) int {
	if limit <= 0 || limit > most {
		return most
	}
	return limit
}

// Feed goes on with head: all bytes received so far from the message's first byte, of which those of the last
// call are the same. Bytes behind the head do no harm. The answer is NeedMore, OK, or the fault; after
// the last two it is final.
func (p *Parser) Feed(head []byte) Code {
	if p.code != NeedMore {
		return p.code
	}
	if invariant.Enabled && len(head) < p.pos {
		invariant.Fail("head of %d bytes, of which %d were parsed before", len(head), p.pos)
	}
	p.code = p.parse(head[:min(len(head), p.headMax)])
	return p.code
}

func (p *Parser) parse(b []byte) Code {
	if p.step < stepMethod {
		if code := p.emptyLine(b); code != OK {
			return p.more(b, code)
		}
	}
	if p.step < stepField {
		line := b[:min(len(b), p.line+p.lineMax)]
		code := p.startLine(line)
		if code == NeedMore && len(line) == p.line+p.lineMax {
			return LineTooLong
		}
		if code != OK {
			return p.more(b, code)
		}
	}
	if code := p.fieldLines(b); code != OK {
		return p.more(b, code)
	}
	if p.response {
		if code := p.checkResponse(); code != OK {
			return code
		}
	} else if code := p.checkRequest(b); code != OK {
		return code
	}
	return p.connection(b)
}

// more turns NeedMore into a fault when there is no room for more.
func (p *Parser) more(b []byte, code Code) Code {
	if code == NeedMore && len(b) == p.headMax {
		return HeaderTooLarge
	}
	return code
}

func (p *Parser) startLine(b []byte) Code {
	if p.response {
		return p.statusLine(b)
	}
	return p.requestLine(b)
}

// Get finds the first field with that ID that Rewrite has not removed. FieldOther is never found.
func (p *Parser) Get(id FieldID) (i int, ok bool) {
	n := int(p.index[id])
	return n - 1, n > 0
}

// Body is how a response's body is delimited (RFC 9112, section 6.3).
type Body uint8

const (
	BodyNone    Body = iota
	BodyLength       // ContentLength bytes, possibly 0
	BodyChunked      // chunks, to be followed with Chunked
	BodyClose        // all that comes until the connection is closed
	BodyTunnel       // no body: the connection has become a tunnel (2xx to CONNECT)
)

// Body tells how the body of the response is delimited, given its request's method. After 101 the
// connection speaks another protocol, which is the caller's affair.
func (p *Parser) Body(request Method) Body {
	switch {
	case request == CONNECT && p.Status/100 == 2: // 204, too (RFC 9110, section 9.3.6)
		return BodyTunnel
	case p.Status < 200 || p.Status == 204 || p.Status == 304 || request == HEAD:
		return BodyNone
	case p.Chunked:
		return BodyChunked
	case p.ContentLength >= 0:
		return BodyLength
	}
	return BodyClose
}
