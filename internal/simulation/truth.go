package simulation

import (
	"time"

	"github.com/strongroom/strongroom/internal/control"
)

// Truth is what was planted: what whoever reads the record must find, and
// nothing else. It knows when things happened, not when a check saw them.
type Truth struct {
	First, Last time.Time     `json:"-"` // runs of the checks that the record begins and ends with
	Step        time.Duration `json:"-"`
	Spaces      []Space
	Faults      []Fault
	Outages     []Outage
	Denials     []Denial
	Changes     []Change // that went live with nobody's approval
	Destroyed   []Destruction
}

// Space is one with a pack to be had.
type Space struct {
	ID, Name, Team, TeamName string
	by                       control.By // its auditor
}

// Fault is something that was not as it ought to be.
type Fault struct {
	Check   string
	Scope   string // id of the space or team, "" = the installation
	Name    string // of the subject, as checks call it
	Tells   string // a part of what the check says of it
	From    time.Time
	To      time.Time // zero: it went on
	Mended  string    // by whom, an address; "" = nobody through the platform
	Owner   string    // of its finding
	Finding bool      // it has one; a check that cannot run has none
}

// Outage is a time in which a check did not run, or none did.
type Outage struct {
	Check string // "" = all
	From  time.Time
	To    time.Time
}

// Denial is something that was tried and refused.
type Denial struct {
	At     time.Time
	Action string
	Scope  string
	Who    string // "" = nobody who was known
	Times  int64
}

// Change went live without approval.
type Change struct {
	At      time.Time
	Scope   string
	Release string
	Who     string
}

// Destruction is the end of a space.
type Destruction struct {
	At    time.Time
	Scope string
	Who   string
}

func (t *Truth) auditor(space string) control.By {
	for _, s := range t.Spaces {
		if s.Name == space || s.ID == space {
			return s.by
		}
	}
	return control.By{}
}
