package engine

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/edge"
	"github.com/strongroom/strongroom/internal/router"
)

// countEvery is how often edge and routers are asked whom they refused.
const countEvery = 5 * time.Second

// Strangers implements containerd.Ingress.
func (in *ingress) Strangers(id string) []driver.Stranger {
	in.mu.Lock()
	defer in.mu.Unlock()
	if g := in.gates[id]; g != nil {
		return g.strangers
	}
	return nil
}

// count asks edge and routers. What does not answer keeps what it said before.
func (in *ingress) count(ctx context.Context, up map[string]int) {
	ctx, cancel := context.WithTimeout(ctx, countEvery)
	defer cancel()
	var outside edge.Status
	if in.edge != nil && up["edge"] != 0 {
		var err error
		if outside, err = in.edge.Status(ctx); err != nil {
			return
		}
	}
	for _, g := range in.reachable(up) {
		inside, err := g.client.Status(ctx)
		if err != nil {
			continue
		}
		list := strangers(outside.Spaces[g.Space], inside, time.Now().UTC())
		in.mu.Lock()
		g.strangers = list
		in.mu.Unlock()
	}
}

// reachable are the routers that are up.
func (in *ingress) reachable(up map[string]int) []*gate {
	in.mu.Lock()
	defer in.mu.Unlock()
	var list []*gate
	for _, g := range in.gates {
		if up[routerName(g.Space)] != 0 {
			list = append(list, g)
		}
	}
	return list
}

// strangers says it in the driver's words. The edge keeps neither addresses nor
// times: it is told to forget strangers at once.
func strangers(outside edge.SpaceStatus, inside router.Status, now time.Time) []driver.Stranger {
	list := []driver.Stranger{}
	add := func(s driver.Stranger) {
		if s.Count > 0 {
			list = append(list, s)
		}
	}
	add(driver.Stranger{Why: driver.StrangerUntrusted, Count: int64(outside.Refused[edge.ReasonUntrusted]), Last: now})
	add(driver.Stranger{Why: driver.StrangerPastEdge, Count: int64(inside.Untrusted), Last: now})
	for _, s := range inside.Strangers {
		add(driver.Stranger{Why: driver.StrangerCertificate, Host: s.Host, Count: int64(s.Count), Last: s.Last, From: s.From})
	}
	return list
}
