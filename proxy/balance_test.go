package proxy

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"github.com/uringproxy/uringproxy/plan"
)

// balanced is a worker that knows nothing but the endpoints of a service, and that service. Weights are by endpoint.
func balanced(weights ...int) (*Worker, *plan.Service) {
	w := &Worker{turns: make([]uint32, 1)}
	svc := &plan.Service{ByClient: true}
	for i, weight := range weights {
		ep := plan.Endpoint{
			ID: uint32(i), Weight: weight,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 53),
		}
		e := endpoint{addr: addressOf(&ep)}
		e.key = endpointKey(&e.addr)
		w.endpoints = append(w.endpoints, e)
		svc.Endpoints = append(svc.Endpoints, ep)
		for range weight {
			svc.Cycle = append(svc.Cycle, uint16(i))
		}
	}
	if len(weights) > 0 && slices.Min(weights) == slices.Max(weights) {
		svc.Cycle = svc.Cycle[:len(weights)]
	}
	return w, svc
}

// someone is one of many clients.
func someone(n int) *[16]byte {
	a := netip.AddrFrom4([4]byte{192, 168}).As16()
	binary.BigEndian.PutUint32(a[12:], uint32(n)+10<<24)
	return &a
}

const someClients = 20_000

// Every endpoint gets the share of clients that its weight says.
func TestClientsAreSharedByWeight(t *testing.T) {
	for _, weights := range [][]int{{1}, {1, 1, 1, 1, 1}, {1, 3}, {5, 1, 1, 3}, {1000, 1}} {
		w, svc := balanced(weights...)
		got, sum := make([]int, len(weights)), 0
		for n := range someClients {
			got[w.firstTarget(svc, someone(n))]++
		}
		for _, weight := range weights {
			sum += weight
		}
		for i, weight := range weights {
			share := float64(weight) / float64(sum)
			want := share * someClients
			if most := 5*math.Sqrt(want*(1-share)) + 1; math.Abs(float64(got[i])-want) > most {
				t.Errorf("weights %v: endpoint %d has %d clients, not %.0f", weights, i, got[i], want)
			}
		}
	}
}

// An endpoint that goes gives its clients away and moves no others; one that comes takes clients and moves none between
// others; one that weighs more takes and gives none.
func TestClientsStayWhereTheyAre(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1}, {1, 4, 2, 7}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			w, svc := balanced(weights...)
			fewer := *svc
			fewer.Endpoints = slices.Delete(slices.Clone(svc.Endpoints), 1, 2)
			fewer.Cycle = fewer.Cycle[:0:0]
			for i := range fewer.Endpoints {
				for range max(1, fewer.Endpoints[i].Weight) {
					fewer.Cycle = append(fewer.Cycle, uint16(i))
				}
			}
			heavier := *svc
			heavier.Endpoints = slices.Clone(svc.Endpoints)
			heavier.Endpoints[2].Weight *= 3
			heavier.Cycle = make([]uint16, 99) // they are no longer even
			for n := range someClients {
				at := svc.Endpoints[w.firstTarget(svc, someone(n))].ID
				if without := fewer.Endpoints[w.firstTarget(&fewer, someone(n))].ID; at != 1 && without != at {
					t.Fatalf("client %d moves from %d to %d when 1 goes", n, at, without)
				}
				if then := heavier.Endpoints[w.firstTarget(&heavier, someone(n))].ID; then != at && then != 2 {
					t.Fatalf("client %d moves from %d to %d when 2 grows", n, at, then)
				}
			}
		})
	}
}

// Where the endpoints stand in the configuration makes no difference.
func TestClientsDoNotMindTheOrder(t *testing.T) {
	w, svc := balanced(2, 1, 5, 1, 1)
	turned := *svc
	turned.Endpoints = slices.Clone(svc.Endpoints)
	slices.Reverse(turned.Endpoints)
	for n := range 1000 {
		a, b := w.firstTarget(svc, someone(n)), w.firstTarget(&turned, someone(n))
		if svc.Endpoints[a].ID != turned.Endpoints[b].ID {
			t.Fatalf("client %d goes to %d and %d", n, svc.Endpoints[a].ID, turned.Endpoints[b].ID)
		}
	}
}

// The endpoint that is tried next is another one, and the clients of one that fails are spread over the others.
func TestClientsOfAFailedEndpointSpread(t *testing.T) {
	for _, weights := range [][]int{{1, 1, 1, 1, 1}, {1, 2, 1, 3, 1}} {
		w, svc := balanced(weights...)
		next := map[uint16]int{}
		for n := range someClients {
			first := w.firstTarget(svc, someone(n))
			second := w.nextTarget(svc, someone(n), first, 1)
			third := w.nextTarget(svc, someone(n), second, 2)
			if first == second || second == third || first == third {
				t.Fatalf("client %d tries %d, %d, %d", n, first, second, third)
			}
			if first == 0 {
				next[second]++
			}
		}
		if len(next) != len(weights)-1 {
			t.Errorf("weights %v: the clients of one go to %v", weights, next)
		}
	}
}

// In a cycle, and for clients without an address, it is everybody's turn.
func TestTurnsInACycle(t *testing.T) {
	w, svc := balanced(1, 1, 1)
	var order []uint16
	for range 6 {
		order = append(order, w.firstTarget(svc, new([16]byte)))
	}
	if want := []uint16{0, 1, 2, 0, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("the order is %v", order)
	}
	svc.ByClient = false
	if a, b := w.firstTarget(svc, someone(1)), w.firstTarget(svc, someone(1)); a == b {
		t.Errorf("the same client gets %d twice", a)
	}
	if got := w.nextTarget(svc, someone(1), 2, 1); got != 0 {
		t.Errorf("after 2 comes %d", got)
	}
}

// The hashes are part of what instances agree on, so that they must not change from one release to another.
func TestClientsKeepTheirEndpointsOverReleases(t *testing.T) {
	w, svc := balanced(1, 1, 1, 1, 1, 1, 1, 1)
	var got []uint16
	for n := range 12 {
		got = append(got, w.firstTarget(svc, someone(n)))
	}
	if want := []uint16{2, 6, 4, 5, 0, 0, 0, 6, 5, 3, 0, 7}; !slices.Equal(got, want) {
		t.Errorf("they go to %v", got)
	}
}

func TestBalanceAllocatesNothing(t *testing.T) {
	w, svc := balanced(1, 2, 3, 4)
	client := someone(1)
	if n := testing.AllocsPerRun(100, func() {
		w.nextTarget(svc, client, w.firstTarget(svc, client), 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPreferred(b *testing.B) {
	even := slices.Repeat([]int{1}, 256)
	for _, weights := range [][]int{even[:4], even, {1, 2, 3, 4}} {
		w, svc := balanced(weights...)
		b.Run(fmt.Sprintf("%dx%d", len(weights), weights[len(weights)-1]), func(b *testing.B) {
			b.ReportAllocs()
			client := someone(7)
			for b.Loop() {
				w.firstTarget(svc, client)
			}
		})
	}
}
