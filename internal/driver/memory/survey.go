package memory

import (
	"context"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// intrusion is a stray that a test planted.
type intrusion struct{ area, space, kind, text string }

// Intrude makes surveys find something, which here nobody else could make, until
// mend is called. A space of "" is none.
func (d *Driver) Intrude(area, space, kind, text string) (mend func()) {
	x := &intrusion{area, space, kind, text}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.intrusions = append(d.intrusions, x)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.intrusions = slices.DeleteFunc(d.intrusions, func(y *intrusion) bool { return y == x })
	}
}

// Survey implements driver.Driver: it counts its own maps.
func (d *Driver) Survey(_ context.Context, area string) (*driver.Survey, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	counted := map[string]struct {
		what   string
		places []string // the space of each
		host   bool     // nothing of it is of a space
	}{
		driver.AreaContainers: {"containers", d.alive(), false},
		driver.AreaFirewall:   {"rules", nil, false},
		driver.AreaNetwork:    {"networks", slices.Collect(maps.Keys(d.spaces)), false},
		driver.AreaMounts:     {"volumes", d.held(), false},
		driver.AreaPrograms:   {"processes", nil, true},
		driver.AreaFiles:      {"files", nil, true},
		driver.AreaShells:     {"processes", nil, true},
		driver.AreaLogins:     {"logins", nil, true},
	}
	in, known := counted[area]
	if !known {
		return nil, fault.New(fault.NotFound, "This engine does not look at %q.", area)
	}
	s := driver.NewSurvey(area)
	s.Look("", in.what, 0)
	for _, id := range slices.Sorted(maps.Keys(d.spaces)) {
		if in.host {
			break
		}
		s.Add(id, d.spaces[id].Name)
		s.Look(id, in.what, 0)
	}
	for _, space := range in.places {
		s.Look(space, in.what, 1)
	}
	for _, x := range d.intrusions {
		if x.area == area {
			s.Found(x.space, x.kind, "%s", x.text)
		}
	}
	return s, nil
}

// alive is the space of each process that runs; d.mu is held.
func (d *Driver) alive() (out []string) {
	for _, p := range d.processes {
		if !p.ended() {
			out = append(out, p.space)
		}
	}
	return out
}

// held is the space of each volume; d.mu is held.
func (d *Driver) held() (out []string) {
	for _, v := range d.volumes {
		out = append(out, v.Space)
	}
	return out
}
