package drivertest

import (
	"slices"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// surveys looks at a space in which something runs. Nothing of the engine's own
// may be taken for a stray, and what somebody else makes must be found and must
// be gone from the survey when it is gone.
func surveys(b *bench) {
	f := b.web(2)
	b.apply(f)
	b.settled(f)
	b.newVolume()
	_, err := b.driver.Survey(b.Context(), "nothing that there is")
	b.wantFault("survey of an unknown area", err, fault.NotFound)
	looked := 0
	for _, area := range []string{driver.AreaContainers, driver.AreaFirewall, driver.AreaNetwork, driver.AreaMounts} {
		s, err := b.driver.Survey(b.Context(), area)
		if fault.Of(err) == fault.NotFound {
			continue
		}
		b.must("survey", err)
		looked++
		b.wantClean(s)
		if part := b.part(s, b.space.ID); part.Name != b.space.Name || len(part.Looked) == 0 {
			b.Errorf("survey of %s: %+v", area, part)
		}
		if b.Intrude == nil {
			continue
		}
		mend := b.Intrude(b.T, area, b.space.ID)
		if mend == nil {
			continue
		}
		s, err = b.driver.Survey(b.Context(), area)
		b.must("survey", err)
		if part := b.part(s, b.space.ID); len(part.Strays) == 0 {
			b.Errorf("survey of %s does not find what was made by hand: %+v", area, s)
		}
		mend()
		s, err = b.driver.Survey(b.Context(), area)
		b.must("survey", err)
		b.wantClean(s)
	}
	for _, area := range []string{driver.AreaPrograms, driver.AreaFiles, driver.AreaShells, driver.AreaLogins} {
		s, err := b.driver.Survey(b.Context(), area)
		if kind := fault.Of(err); kind == fault.NotFound || kind == fault.Unavailable && area == driver.AreaLogins {
			continue // not every host keeps a log of logins
		}
		b.must("survey", err)
		looked++
		if len(s.Parts) != 1 || len(b.part(s, "").Looked) == 0 {
			b.Errorf("survey of %s is of the host and of no space: %+v", area, s)
		}
	}
	if looked == 0 {
		b.Error("the engine looks at no area")
	}
}

func (b *bench) wantClean(s *driver.Survey) {
	b.Helper()
	for _, p := range s.Parts {
		for _, x := range p.Strays {
			b.Errorf("survey of %s, space %q: %s", s.Area, p.Name, x.Text)
		}
	}
}

func (b *bench) part(s *driver.Survey, space string) driver.Part {
	b.Helper()
	i := slices.IndexFunc(s.Parts, func(p driver.Part) bool { return p.Space == space })
	if i < 0 || s.Parts[0].Space != "" {
		b.Fatalf("survey of %s has no part for the space or none for what belongs to no space: %+v", s.Area, s)
	}
	return s.Parts[i]
}
