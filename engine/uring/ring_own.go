//go:build !giouring

package uring

// ring is the ring layer that the backend stands on, chosen when building: no call is made through an
// interface.
type ring = ownRing

const ringName = "uring"
