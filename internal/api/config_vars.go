package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
)

func reveal(values map[string]secret.Value) view.ConfigVars {
	out := make(view.ConfigVars, len(values))
	for name, v := range values {
		out[name] = string(v.Reveal())
	}
	return out
}

func getConfigVars(c *call) (Answer, error) {
	cmd := &config.Read{App: c.path("app")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(reveal(cmd.Values), nil)
}

// updateConfigVars sets and unsets, and answers with the whole config, as
// Heroku does: to somebody who may read it. That read is on record too.
func updateConfigVars(c *call) (Answer, error) {
	in := map[string]nullable{}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	values := make(map[string]*secret.Value, len(in))
	for name, v := range in {
		values[name] = nil
		if !v.Null {
			value := secret.NewValue([]byte(v.Value))
			values[name] = &value
		}
	}
	if err := c.execute(&config.Set{App: c.path("app"), Values: values}); err != nil {
		return Answer{}, err
	}
	may, err := show(c, func(q *query.Reader) (bool, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return false, err
		}
		return q.May(a, authz.AppSecrets)
	})
	if err != nil {
		return Answer{}, err
	}
	if !may {
		return ok(view.ConfigVars{}, nil)
	}
	return getConfigVars(c)
}

// getReleaseConfigVars shows the config that a release was made with.
func getReleaseConfigVars(c *call) (Answer, error) {
	r, err := c.visibleRelease(c.path("release"))
	if err != nil {
		return Answer{}, err
	}
	cmd := &readReleaseConfig{release: r}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(reveal(cmd.values), nil)
}

// readReleaseConfig hands out an earlier config, once the read is recorded.
type readReleaseConfig struct {
	release *document.Release
	config  *document.Config
	values  map[string]secret.Value
}

// Action is config.read.
func (*readReleaseConfig) Action() string { return "config.read" }

// Prepare finds the config as it was.
func (c *readReleaseConfig) Prepare(ctx context.Context, t control.Tools) error {
	seqs, err := t.Store.History(ctx, document.KindConfig, c.release.App)
	if err != nil {
		return err
	}
	if c.release.ConfigRev < 1 || c.release.ConfigRev > int64(len(seqs)) {
		return fault.New(fault.NotFound, "The config of v%d is not there.", c.release.Version)
	}
	return t.Store.At(ctx, seqs[c.release.ConfigRev-1]+1, func(v store.View) error {
		c.config, err = store.Get[*document.Config](v, c.release.App)
		return err
	})
}

// Aim is the app.
func (c *readReleaseConfig) Aim(v store.View) (control.Aim, error) {
	a, err := store.Get[*document.App](v, c.release.App)
	if err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(a, authz.AppSecrets), nil
}

// Decide notes which release's config was read.
func (c *readReleaseConfig) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	names := make([]string, 0, len(c.config.Vars))
	for _, x := range c.config.Vars {
		names = append(names, x.Name)
	}
	d.Note("release", fmt.Sprintf("v%d", c.release.Version))
	d.Note("names", strings.Join(names, " "))
	return nil
}

// Effect opens the values.
func (c *readReleaseConfig) Effect(ctx context.Context, t control.Tools, _ int64) error {
	var err error
	c.values, err = config.Open(ctx, t.Keyring, c.config)
	return err
}
