package alerts

import (
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Jobs that internal/alert does. Their ref is the channel, their seq the entry
// that tells what is to be sent.
const (
	JobSend = "alert.send" // what became of a finding
	JobTest = "alert.test"
)

// Tell asks for what becomes of a finding to be sent to every channel that wants
// to know of it.
func Tell(v store.View, d *control.Decision, f *document.Finding) error {
	list, err := store.Find[*document.Alert](v, "all", "")
	if err != nil {
		return err
	}
	for _, a := range list {
		wants, err := concerns(v, a, f)
		if err != nil {
			return err
		}
		if wants {
			d.Job(JobSend, a.ID)
		}
	}
	return nil
}

func concerns(v store.View, a *document.Alert, f *document.Finding) (bool, error) {
	if !document.AtLeast(f.Severity, a.Severity) {
		return false, nil
	}
	if a.Scope == "" || a.Scope == f.Scope {
		return true, nil
	}
	doc, err := v.Get(document.KindSpace, f.Scope)
	s, ok := doc.(*document.Space)
	return ok && s.Team == a.Scope, err
}

// Record says whether a channel takes messages, when that is another than before
// or a test asked for it.
type Record struct {
	ID    string
	Error string // "" = it took one
	Test  bool

	aimed
}

// Action is alert.record.
func (*Record) Action() string { return "alert.record" }

// Aim is the channel; the platform does it.
func (c *Record) Aim(v store.View) (control.Aim, error) {
	a, err := c.aim(v, c.ID)
	a.Need, a.See = authz.System, ""
	return a, err
}

const maxError = 300 // bytes

// Decide keeps the time and the words of the first failure: what comes after it
// says no more.
func (c *Record) Decide(_ store.View, _ control.By, now time.Time, d *control.Decision) error {
	a, state := c.alert, document.AlertDelivered
	if c.Error != "" {
		state = document.AlertFailing
	}
	if a.State == state && !c.Test {
		return fault.New(fault.Conflict, "The channel is %s already.", state)
	}
	if a.State != state {
		a.State, a.Since, a.Error = state, now, strings.ToValidUTF8(c.Error[:min(len(c.Error), maxError)], "")
	}
	if c.Test {
		a.TestedAt = &now
	}
	d.Note("state", state)
	d.Put(a)
	return nil
}
