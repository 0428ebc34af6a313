package deploy

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Access is a look at an app's repository: its code is read or about to be
// written, so it is on record either way.
type Access struct {
	App    string
	Write  bool
	Result *document.App
}

// Action is repository.push or repository.read.
func (c *Access) Action() string {
	if c.Write {
		return "repository.push"
	}
	return "repository.read"
}

// Aim is the app.
func (c *Access) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.Result, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.Result, authz.AppDeploy), nil
}

// Decide has nothing to change.
func (*Access) Decide(store.View, control.By, time.Time, *control.Decision) error { return nil }
