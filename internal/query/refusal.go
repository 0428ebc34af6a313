package query

import (
	"errors"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Refusal is a read that the caller may not do. It unwraps to the fault that
// the caller is told.
type Refusal struct {
	Aim   control.Aim
	fault *fault.Error
}

func (r *Refusal) Error() string { return r.fault.Error() }

func (r *Refusal) Unwrap() error { return r.fault }

// Command is what records the refusal: executing it ends in the same fault,
// and in the ledger. action is what was tried, "" if nothing more is known than
// that somebody looked.
func (r *Refusal) Command(action string) control.Command {
	if action == "" {
		action = r.Aim.Target.Kind + ".view"
	}
	return &look{action: action, refusal: r}
}

// look is the attempt to see something.
type look struct {
	action  string
	refusal *Refusal
}

// Action is what was tried.
func (c *look) Action() string { return c.action }

// Aim is what the caller may not see.
func (c *look) Aim(store.View) (control.Aim, error) { return c.refusal.Aim, nil }

// Decide is reached only by a caller who was given access since the read.
func (c *look) Decide(store.View, control.By, time.Time, *control.Decision) error {
	return fault.New(fault.Conflict, "Your access was changed in the meantime. Try again.")
}

// check returns a *Refusal if the caller lacks the aim's permission.
func (r *Reader) check(aim control.Aim) error {
	ok, err := r.may(aim.Need, aim.On)
	if ok || err != nil {
		return err
	}
	sees := aim.See == ""
	if aim.See != "" && aim.See != aim.Need {
		if sees, err = r.may(aim.See, aim.On); err != nil {
			return err
		}
	}
	if sees {
		return &Refusal{aim, fault.New(fault.Forbidden, "You do not have access to %s: it needs the permission %s.", aim.Target.Name, aim.Need)}
	}
	return &Refusal{aim, fault.New(fault.NotFound, "Couldn't find that %s.", aim.Target.Kind)}
}

// elsewhere is the answer to an id that exists, but not where the caller looked
// for it. It is not found either way; whoever may not see where it really is was
// probing, and that is on record.
func (r *Reader) elsewhere(aim control.Aim) error {
	if err := r.check(aim); err != nil {
		return err
	}
	return fault.New(fault.NotFound, "Couldn't find that %s.", aim.Target.Kind)
}

// told gives a refusal other words for its caller.
func told(err error, format string, args ...any) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	return &Refusal{refusal.Aim, fault.New(refusal.fault.Kind, format, args...)}
}

// Operator refuses everybody who does not operate the installation.
func (r *Reader) Operator(aim control.Aim) error {
	aim.Need = authz.Operate
	return r.check(aim)
}
