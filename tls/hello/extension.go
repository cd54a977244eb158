package hello

// Extensions that are looked into (registry "TLS ExtensionType Values").
const (
	extServerName       = 0
	extSupportedGroups  = 10
	extSchemes          = 13
	extALPN             = 16
	extSessionTicket    = 35
	extPSK              = 41
	extEarlyData        = 42
	extVersions         = 43
	extKeyShare         = 51
	extEncryptedHello   = 0xfe0d
	smallExtensionTypes = 64 // below it they are remembered by a bit
)

// extensions reads the block of extensions, which is the rest of the message; a hello before TLS 1.3 may have none.
func (h *Hello) extensions(r *reader) Code {
	if !r.more() {
		return OK
	}
	h.Extensions = r.vector16()
	if !r.done() {
		return BadExtensions
	}
	var small uint64
	var large [MaxExtensions]uint16
	larges := 0
	e := readerOf(r.b, h.Extensions)
	for e.more() {
		id := e.u16()
		body := e.vector16()
		switch {
		case e.bad:
			return BadExtensions
		case h.PSK:
			return PSKNotLast // RFC 8446, section 4.2.11
		case h.ExtensionCount == MaxExtensions:
			return TooManyExtensions
		}
		h.ExtensionCount++
		if id < smallExtensionTypes {
			if small>>id&1 != 0 {
				return RepeatedExtension // RFC 8446, section 4.2
			}
			small |= 1 << id
		} else {
			for _, other := range large[:larges] {
				if other == id {
					return RepeatedExtension
				}
			}
			large[larges] = id
			larges++
		}
		if code := h.extension(id, readerOf(r.b, body)); code != OK {
			return code
		}
	}
	return OK
}

// extension reads the body of one extension, if it is one of those that something is reported of.
func (h *Hello) extension(id uint16, r reader) Code {
	code := OK
	switch id {
	case extServerName:
		return h.serverName(&r)
	case extALPN:
		h.Protocols, code = protocols(&r)
	case extVersions:
		list := r.vector8()
		h.Versions, code = numbers(&r, list, BadVersions)
	case extSupportedGroups:
		list := r.vector16()
		h.Groups, code = numbers(&r, list, BadGroups)
	case extSchemes:
		list := r.vector16()
		h.Schemes, code = numbers(&r, list, BadSchemes)
		if h.Schemes.Len > 2*MaxSchemes {
			return TooManySchemes
		}
	case extKeyShare:
		h.KeyShares, code = keyShares(&r)
	case extSessionTicket:
		h.Tickets, h.Ticket = true, r.more()
	case extPSK:
		h.PSK = true
		return preSharedKeys(&r)
	case extEarlyData:
		h.EarlyData = true
		if r.more() {
			return BadEarlyData
		}
	case extEncryptedHello:
		h.ECH, code = encryptedHello(&r)
	}
	return code
}

// numbers makes sure that a vector, the whole of what r had, is a list of one number at least.
func numbers(r *reader, list Ref, fault Code) (Ref, Code) {
	if !r.done() || list.Len == 0 || list.Len%2 != 0 {
		return Ref{}, fault
	}
	return list, OK
}

// protocols reads RFC 7301, section 3.1: a list of names that are not empty, and of which one is there.
func protocols(r *reader) (Ref, Code) {
	list := r.vector16()
	if !r.done() || list.Len == 0 {
		return Ref{}, BadProtocols
	}
	count := 0
	p := readerOf(r.b, list)
	for ; p.more(); count++ {
		if p.vector8().Len == 0 {
			return Ref{}, BadProtocols
		}
	}
	if count > MaxProtocols {
		return Ref{}, TooManyProtocols
	}
	return list, OK
}

// keyShares reads RFC 8446, section 4.2.8: keys, each for another group. The list may be empty: such a client waits to
// be told the group.
func keyShares(r *reader) (Ref, Code) {
	list := r.vector16()
	if !r.done() {
		return Ref{}, BadKeyShares
	}
	var groups [MaxKeyShares]uint16
	count := 0
	k := readerOf(r.b, list)
	for ; k.more(); count++ {
		group := k.u16()
		if k.vector16().Len == 0 {
			return Ref{}, BadKeyShares
		}
		if count == MaxKeyShares {
			return Ref{}, TooManyKeyShares
		}
		for _, other := range groups[:count] {
			if other == group {
				return Ref{}, RepeatedKeyShare
			}
		}
		groups[count] = group
	}
	return list, OK
}

// minBinder is the shortest binder: the output of a hash (RFC 8446, section 4.2.11).
const minBinder = 32

// preSharedKeys reads RFC 8446, section 4.2.11: identities, and as many binders.
func preSharedKeys(r *reader) Code {
	identities, binders := r.vector16(), r.vector16()
	if !r.done() || identities.Len == 0 {
		return BadPSK
	}
	surplus := 0
	i := readerOf(r.b, identities)
	for ; i.more(); surplus++ {
		label := i.vector16()
		i.take(4) // its age
		if i.bad || label.Len == 0 {
			return BadPSK
		}
	}
	b := readerOf(r.b, binders)
	for ; b.more(); surplus-- {
		if b.vector8().Len < minBinder {
			return BadPSK
		}
	}
	if surplus != 0 {
		return BadPSK
	}
	return OK
}

// encryptedHello reads RFC 9849, section 5: the outer form has algorithms, a configuration's number, an encapsulated
// key, which a second hello leaves out, and the inner hello; the inner form has nothing.
func encryptedHello(r *reader) (ECH, Code) {
	switch r.u8() {
	case 0:
		r.take(2 + 2 + 1)
		r.vector16()
		if payload := r.vector16(); r.done() && payload.Len > 0 {
			return ECHOuter, OK
		}
	case 1:
		if r.done() {
			return ECHInner, OK
		}
	}
	return ECHNone, BadECH
}
