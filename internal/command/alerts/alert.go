// Package alerts has the commands about where findings are sent to: webhooks and
// mail, by scope and severity.
//
// Invariants: what becomes of a finding and the sending of it are one transaction
// (Tell), so that nothing is forgotten; a webhook's address and secret are sealed and
// nowhere else; whether a channel takes messages is an entry when it changes.
// internal/api adds and removes channels, internal/command/checks tells,
// internal/alert sends and says how that went.
package alerts

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Bounds of channels.
const (
	MaxChannels = 20 // of a scope
	minSecret   = 16 // bytes
	maxSecret   = 256
)

// Manage is the aim of what a team's owner or admin does about its findings and
// its spaces', and an operator about the installation's.
func Manage(v store.View, scope string, target ledger.Target) (control.Aim, error) {
	a := control.Aim{Scope: scope, Target: target, Need: authz.Operate}
	if scope == "" {
		return a, nil
	}
	a.Need, a.See, a.On.Team = authz.TeamManage, authz.EvidenceRead, scope
	doc, err := v.Get(document.KindSpace, scope)
	if s, ok := doc.(*document.Space); ok {
		a.On.Team = s.Team
	}
	return a, err
}

func target(a *document.Alert) ledger.Target {
	return ledger.Target{Kind: "alert", ID: a.ID, Name: a.Channel + " " + a.Host()}
}

// Add makes a channel.
type Add struct {
	Channel     string       // document.AlertWebhook or AlertEmail
	To          secret.Value // a webhook's is one
	Severity    string       // "" = high
	Team, Space string       // whose findings; neither = the installation's and all
	Secret      secret.Value

	Alert *document.Alert // the result

	sealed []secret.Sealed
}

// Action is alert.add.
func (*Add) Action() string { return "alert.add" }

// Prepare checks the channel and seals what is secret of it.
func (c *Add) Prepare(ctx context.Context, t control.Tools) error {
	a := &document.Alert{
		Base: document.Base{ID: document.NewID()}, Channel: c.Channel, Severity: cmp.Or(c.Severity, "high"), State: document.AlertUntried,
	}
	to, err := c.clean(a)
	if err != nil {
		return err
	}
	if err := t.Store.Read(ctx, func(v store.View) (err error) {
		a.Scope, err = c.scope(v)
		return err
	}); err != nil {
		return err
	}
	c.Alert, c.sealed = a, nil
	if a.Channel != document.AlertWebhook {
		return nil
	}
	if a.Address, err = c.seal(ctx, t, []byte(to)); err != nil {
		return err
	}
	a.Secret, err = c.seal(ctx, t, bytes.Clone(c.Secret.Reveal()))
	return err
}

func (c *Add) seal(ctx context.Context, t control.Tools, plain []byte) (*document.Sealed, error) {
	s, err := t.Keyring.Seal(ctx, c.Alert.Scope, secret.NewValue(plain))
	if err != nil {
		return nil, err
	}
	c.sealed = append(c.sealed, s)
	return &document.Sealed{ID: s.ID, SHA256: s.Digest()}, nil
}

// clean checks the channel, says of it what may be said, and gives its address.
func (c *Add) clean(a *document.Alert) (to string, err error) {
	if err := document.CheckSeverity(a.Severity); err != nil {
		return "", err
	}
	n := len(c.Secret.Reveal())
	switch c.Channel {
	case document.AlertWebhook:
		if n < minSecret || n > maxSecret {
			return "", fault.New(fault.Invalid, "A webhook's secret has %d to %d bytes; make one with: openssl rand -hex 32", minSecret, maxSecret)
		}
		to, err = document.CleanWebhook(string(c.To.Reveal()))
		a.To, a.Fingerprint = document.ShowWebhook(to)
	case document.AlertEmail:
		if n > 0 {
			return "", fault.New(fault.Invalid, "Mail has no secret.")
		}
		if to, err = document.CleanEmail(string(c.To.Reveal())); err != nil {
			// It may be a webhook's, in the wrong place: it is not said again.
			return "", fault.New(fault.Invalid, "That is no address for mail; one is as oncall@example.org.")
		}
		a.To = to
	default:
		return "", fault.New(fault.Invalid, "A channel is a webhook or an email.")
	}
	return to, err
}

func (c *Add) scope(v store.View) (string, error) {
	switch {
	case c.Team != "" && c.Space != "":
		return "", fault.New(fault.Invalid, "Findings of a team or of a space: not both.")
	case c.Team != "":
		t, err := teams.Find(v, c.Team)
		if err != nil {
			return "", err
		}
		return t.ID, nil
	case c.Space != "":
		s, err := spaces.Find(v, c.Space)
		if err != nil {
			return "", err
		}
		return s.ID, nil
	}
	return "", nil
}

// Aim is the scope.
func (c *Add) Aim(v store.View) (control.Aim, error) {
	if _, err := c.scope(v); err != nil { // it may be gone by now
		return control.Aim{}, err
	}
	a, err := Manage(v, c.Alert.Scope, target(c.Alert))
	if a.Hidden = "team"; c.Space != "" {
		a.Hidden = "space"
	}
	return a, err
}

// Decide refuses the same channel twice.
func (c *Add) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	list, err := store.Find[*document.Alert](v, "scope", c.Alert.Scope)
	if err != nil {
		return err
	}
	if len(list) >= MaxChannels {
		return fault.New(fault.Conflict, "There are %d channels already. Remove one first.", MaxChannels)
	}
	for _, x := range list {
		if x.Channel == c.Channel && x.To == c.Alert.To && x.Fingerprint == c.Alert.Fingerprint {
			return fault.New(fault.Conflict, "Alerts are sent there already: %s. Remove that first.", x.ID)
		}
	}
	c.Alert.ByEmail, c.Alert.Since = by.Actor.Email, now
	d.Sealed = c.sealed
	d.Put(c.Alert)
	return nil
}

// aimed is a channel that is there.
type aimed struct{ alert *document.Alert }

func (x *aimed) aim(v store.View, id string) (a control.Aim, err error) {
	if x.alert, err = store.Get[*document.Alert](v, id); err != nil {
		return a, err
	}
	return Manage(v, x.alert.Scope, target(x.alert))
}

// Remove ends a channel. What was not sent yet is not sent.
type Remove struct {
	ID    string
	Alert *document.Alert // the result: as it was

	aimed
}

// Action is alert.remove.
func (*Remove) Action() string { return "alert.remove" }

// Aim is the channel.
func (c *Remove) Aim(v store.View) (control.Aim, error) { return c.aim(v, c.ID) }

// Decide deletes it.
func (c *Remove) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	c.Alert = c.alert
	d.Delete(document.KindAlert, c.alert.ID)
	return nil
}

// Test sends a message that says that it is a test.
type Test struct {
	ID    string
	Alert *document.Alert // the result

	aimed
}

// Action is alert.test.
func (*Test) Action() string { return "alert.test" }

// Aim is the channel.
func (c *Test) Aim(v store.View) (control.Aim, error) { return c.aim(v, c.ID) }

// Decide asks for the message.
func (c *Test) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	c.Alert = c.alert
	d.Job(JobTest, c.alert.ID)
	return nil
}
