package simulation

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/control"
)

// Truth is what was planted: what whoever reads the record must find, and
// nothing else. It knows when things happened, not when a check saw them.
type Truth struct {
	First     time.Time     `json:"first"` // runs of the checks that the record begins and ends with
	Last      time.Time     `json:"last"`
	Step      time.Duration `json:"step"` // between two runs, in nanoseconds
	Spaces    []Space       `json:"spaces"`
	Faults    []Fault       `json:"faults"`
	Outages   []Outage      `json:"outages"`
	Denials   []Denial      `json:"refusals"`
	Changes   []Change      `json:"unapproved"` // went live with nobody's approval
	Destroyed []Destruction `json:"destroyed"`
}

// Space is one that there was.
type Space struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Team     string `json:"team"` // id
	TeamName string `json:"team_name"`

	by control.By // its auditor
}

// Fault is something that was not as it ought to be.
type Fault struct {
	Check  string    `json:"check"`
	Scope  string    `json:"scope"` // id of the space or team, "" = the installation
	Name   string    `json:"name"`  // of the subject, as checks call it
	Tells  string    `json:"tells"` // a part of what the check says of it
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`        // zero: it went on
	Mended string    `json:"mended_by"` // an address; "" = nobody through the platform
	Owner  string    `json:"owner"`     // of its finding
}

// Outage is a time in which a check did not run, or none did.
type Outage struct {
	Check string    `json:"check"` // "" = all
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// Denial is something that was tried and refused.
type Denial struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Scope  string    `json:"scope"`
	Who    string    `json:"who"` // "" = nobody who was known
}

// Change went live without approval.
type Change struct {
	At      time.Time `json:"at"`
	Scope   string    `json:"scope"`
	Release string    `json:"release"`
	Who     string    `json:"who"`
}

// Destruction is the end of a space.
type Destruction struct {
	At    time.Time `json:"at"`
	Scope string    `json:"scope"`
	Who   string    `json:"who"`
}

// Ended tells when a space was destroyed, if it was.
func (t *Truth) Ended(space string) (time.Time, bool) {
	i := slices.IndexFunc(t.Destroyed, func(d Destruction) bool { return d.Scope == space })
	if i < 0 {
		return time.Time{}, false
	}
	return t.Destroyed[i].At, true
}

func (t *Truth) auditor(space string) control.By {
	for _, s := range t.Spaces {
		if s.Name == space || s.ID == space {
			return s.by
		}
	}
	return control.By{}
}
