// Package installation has the commands about the whole installation: its
// beginning, its images, its log.
//
// internal/server and the platform's own loops call it.
package installation

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Create is entry 0: the installation, its key, and its first operator.
type Create struct {
	ID      string // of the installation: the ledger's origin holds it
	Name    string
	LogKey  string // verifier key
	Version string
	Email   string // of the first operator
	// Simulated marks an installation whose record is made up, for good: no other
	// command touches the mark.
	Simulated bool
	Account   string // its id, made by Prepare

	key secret.WrappedKey
}

// Action is installation.create.
func (*Create) Action() string { return "installation.create" }

// Prepare makes the installation's data key.
func (c *Create) Prepare(ctx context.Context, t control.Tools) error {
	email, err := document.CleanEmail(c.Email)
	if err != nil {
		return err
	}
	c.Email, c.Account = email, document.NewID()
	c.key, err = t.Keyring.NewKey(ctx, secret.Installation)
	return err
}

// Aim is the installation.
func (c *Create) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "installation", ID: c.ID, Name: c.Name}, Need: authz.System}, nil
}

// Decide refuses in a ledger that has begun.
func (c *Create) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if v.Size() > 0 {
		return fault.New(fault.Conflict, "This ledger has begun already.")
	}
	d.Put(&document.Installation{Base: document.Base{ID: c.ID}, Name: c.Name, LogNumber: 1, LogKey: c.LogKey, Version: c.Version, Simulated: c.Simulated})
	d.Put(&document.Account{Base: document.Base{ID: c.Account}, Email: c.Email, Name: c.Email, Operator: true})
	d.Keys = append(d.Keys, c.key)
	return nil
}

// RecordBuildKey publishes the key that the provenance of builds is signed with:
// its public half. Another key than before is a change that people should see.
type RecordBuildKey struct{ PEM string }

// Action is installation.buildkey.
func (*RecordBuildKey) Action() string { return "installation.buildkey" }

// Aim is the installation.
func (*RecordBuildKey) Aim(v store.View) (control.Aim, error) { return whole(v) }

// whole aims the platform at the installation.
func whole(v store.View) (control.Aim, error) {
	i, err := store.One[*document.Installation](v, "all", "")
	if err != nil {
		return control.Aim{}, err
	}
	return control.Aim{Target: ledger.Target{Kind: "installation", ID: i.ID, Name: i.Name}, Need: authz.System}, nil
}

// Decide takes a new key.
func (c *RecordBuildKey) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	i, err := store.One[*document.Installation](v, "all", "")
	if err != nil {
		return err
	}
	if i.BuildKey == c.PEM {
		return fault.New(fault.Conflict, "That key is on record already.")
	}
	i.BuildKey = c.PEM
	d.Put(i)
	return nil
}

// RecordStart says which program the server runs, and with which settings, when
// it starts with others than before: what runs later is compared with that.
type RecordStart struct {
	Program  string // digest
	Settings string // digest, of all but secrets
}

// Action is installation.start.
func (*RecordStart) Action() string { return "installation.start" }

// Aim is the installation.
func (c *RecordStart) Aim(v store.View) (control.Aim, error) { return whole(v) }

// Decide takes other digests.
func (c *RecordStart) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	i, err := store.One[*document.Installation](v, "all", "")
	if err != nil {
		return err
	}
	if i.Program == c.Program && i.Settings == c.Settings {
		return fault.New(fault.Conflict, "That program and these settings are on record already.")
	}
	i.Program, i.Settings = c.Program, c.Settings
	d.Put(i)
	return nil
}

// RecordImage says which image a recipe of the platform gave.
type RecordImage struct {
	Image document.Image // without an id
}

// Action is image.record.
func (*RecordImage) Action() string { return "image.record" }

// Aim is the installation.
func (c *RecordImage) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "image", Name: c.Image.Name}, Need: authz.System}, nil
}

// Decide replaces what was recorded under the name.
func (c *RecordImage) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	img := c.Image
	old, err := store.Find[*document.Image](v, "name", img.Name)
	if err != nil {
		return err
	}
	img.ID = document.NewID()
	if len(old) > 0 {
		img.Base = old[0].Base
	}
	d.Put(&img)
	return nil
}

// RecordWitnessed records the newest checkpoint that witnesses cosigned.
type RecordWitnessed struct {
	Checkpoint string // the signed note, with the cosignatures
}

// Action is log.witnessed.
func (*RecordWitnessed) Action() string { return "log.witnessed" }

// Aim is the installation's log.
func (*RecordWitnessed) Aim(v store.View) (control.Aim, error) { return whole(v) }

// maxWitnessed bounds the note: dozens of cosignatures.
const maxWitnessed = 16 << 10

// Decide keeps the note whole, in the entry itself: nothing is state about it.
func (c *RecordWitnessed) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.Checkpoint == "" || len(c.Checkpoint) > maxWitnessed {
		return fault.New(fault.Invalid, "A cosigned checkpoint has 1 to %d bytes.", maxWitnessed)
	}
	d.Checkpoint = c.Checkpoint
	return nil
}
