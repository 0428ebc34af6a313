// Package plan decides what the engine shall do next: a pure function of what
// is wanted and what was observed. It knows digests, not values, so no secret
// passes through it.
//
// internal/reconcile calls it in its loop and carries the actions out in order.
package plan

import (
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/driver"
)

// Verb of an action.
type Verb string

// The verbs, in the order in which they are carried out.
const (
	EnsureSpace     Verb = "ensure space"
	UnlockVolume    Verb = "unlock volume"
	ApplyFormation  Verb = "apply formation"
	ApplyRoutes     Verb = "apply routes"
	RemoveFormation Verb = "remove formation"
	RemoveSpace     Verb = "remove space"
	SpaceAllocated  Verb = "record space allocated"
	SpaceGone       Verb = "record space gone"
)

// Action is one thing to do. ID is of a space, volume or formation.
type Action struct {
	Do Verb
	ID string
}

// Desired is what shall be, by id.
type Desired struct {
	Spaces     map[string]Space
	Volumes    map[string]string // volume → its space
	Formations map[string]Formation
}

// Space that is wanted, or wanted away.
type Space struct {
	Digest    string // of the driver.Space
	Routes    string // of the driver.Routes, "" = not known yet
	Allocated bool   // it is on record that the engine has it
	Deleting  bool
}

// Formation that is wanted.
type Formation struct {
	Digest  string // of the driver.Formation
	Space   string
	Volumes []string // that must be unlocked first
}

// Actions lists what leads from what was observed to what is desired.
func Actions(d Desired, o driver.Observation) []Action {
	p := planner{d: d, o: o, spaces: map[string]driver.ObservedSpace{}, unlocked: map[string]bool{}}
	for _, s := range o.Spaces {
		p.spaces[s.ID] = s
	}
	for _, v := range o.Volumes {
		p.unlocked[v.ID] = v.Unlocked
	}
	p.ensureSpaces()
	p.unlockVolumes()
	p.applyFormations()
	p.applyRoutes()
	p.remove()
	p.record()
	return p.out
}

type planner struct {
	d        Desired
	o        driver.Observation
	spaces   map[string]driver.ObservedSpace
	unlocked map[string]bool
	out      []Action
}

func (p *planner) add(do Verb, id string) { p.out = append(p.out, Action{do, id}) }

func (p *planner) ensureSpaces() {
	for _, id := range sorted(p.d.Spaces) {
		s := p.d.Spaces[id]
		if have, ok := p.spaces[id]; !s.Deleting && (!ok || have.Digest != s.Digest) {
			p.add(EnsureSpace, id)
		}
	}
}

// ready tells whether a space is there or will be once this plan ran.
func (p *planner) ready(space string) bool {
	s, ok := p.d.Spaces[space]
	return ok && !s.Deleting
}

func (p *planner) unlockVolumes() {
	for _, id := range sorted(p.d.Volumes) {
		if p.ready(p.d.Volumes[id]) && !p.unlocked[id] {
			p.add(UnlockVolume, id)
		}
	}
}

// applyFormations waits for volumes to be seen unlocked: what runs is not stopped
// for what could not start.
func (p *planner) applyFormations() {
	have := map[string]string{}
	for _, f := range p.o.Formations {
		have[f.ID] = f.Digest
	}
	for _, id := range sorted(p.d.Formations) {
		f := p.d.Formations[id]
		locked := slices.ContainsFunc(f.Volumes, func(v string) bool { return !p.unlocked[v] })
		if p.ready(f.Space) && !locked && have[id] != f.Digest {
			p.add(ApplyFormation, id)
		}
	}
}

func (p *planner) applyRoutes() {
	for _, id := range sorted(p.d.Spaces) {
		s := p.d.Spaces[id]
		if !s.Deleting && s.Routes != "" && p.spaces[id].Routes != s.Routes {
			p.add(ApplyRoutes, id)
		}
	}
}

// remove ends what nobody wants any more: formations first, then the spaces
// that are being deleted. What is in spaces that the ledger does not know is
// left alone: it is a finding for people, not rubbish.
func (p *planner) remove() {
	for _, f := range p.o.Formations {
		_, wanted := p.d.Formations[f.ID]
		if _, known := p.d.Spaces[f.Space]; known && !wanted {
			p.add(RemoveFormation, f.ID)
		}
	}
	for _, id := range sorted(p.d.Spaces) {
		if _, there := p.spaces[id]; there && p.d.Spaces[id].Deleting {
			p.add(RemoveSpace, id)
		}
	}
}

// record tells the ledger what became true.
func (p *planner) record() {
	for _, id := range sorted(p.d.Spaces) {
		s := p.d.Spaces[id]
		have, ok := p.spaces[id]
		switch {
		case s.Deleting && !ok:
			p.add(SpaceGone, id)
		case !s.Deleting && !s.Allocated && ok && have.Digest == s.Digest:
			p.add(SpaceAllocated, id)
		}
	}
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
