// Package proxyproto reads and writes the header of the PROXY protocol, versions 1 and 2, by which a proxy tells the
// next one, ahead of everything else on a connection, whose connection it passes on. It follows the specification that
// HAProxy publishes as doc/proxy-protocol.txt, whose sections the comments name.
//
// It is strict: what the specification has receivers refuse is refused, and so is what it leaves open, since whoever
// believes such a header lets it decide about access. Addresses are the header's only effect; of the other facts that
// version 2 may carry the lengths are checked, and the checksum where there is one.
//
// The package is pure: no I/O, no state, no allocation. It imports the standard library only, and anybody may import
// it.
package proxyproto
