// Package config has the commands about config vars. Names are in the ledger,
// values are sealed beside it; reading them is recorded.
//
// internal/api calls it, and addons for the vars that attachments set.
package config

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Read hands out an app's config vars with their values, once the read is
// recorded.
type Read struct {
	App    string
	Values map[string]secret.Value // the result

	config *document.Config
}

// Action is config.read.
func (*Read) Action() string { return "config.read" }

// Aim is the app.
func (c *Read) Aim(v store.View) (control.Aim, error) {
	a, err := apps.Find(v, c.App)
	if err != nil {
		return control.Aim{}, err
	}
	if c.config, err = store.Get[*document.Config](v, a.ID); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(a, authz.AppSecrets), nil
}

// Decide notes which vars were read.
func (c *Read) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Note("names", names(c.config))
	return nil
}

// Effect opens the values.
func (c *Read) Effect(ctx context.Context, t control.Tools, _ int64) error {
	var err error
	c.Values, err = Open(ctx, t.Keyring, c.config)
	return err
}

// Open unseals a config's values. Whoever calls it has recorded why.
func Open(ctx context.Context, k *secret.Keyring, c *document.Config) (map[string]secret.Value, error) {
	out := make(map[string]secret.Value, len(c.Vars))
	for _, x := range c.Vars {
		v, err := k.Open(ctx, x.Value.ID, x.Value.SHA256)
		if err != nil {
			return nil, err
		}
		out[x.Name] = v
	}
	return out, nil
}

func names(c *document.Config) string {
	list := make([]string, 0, len(c.Vars))
	for _, x := range c.Vars {
		list = append(list, x.Name)
	}
	return strings.Join(list, " ")
}

// Set changes config vars and makes a release with them.
type Set struct {
	App    string
	Values map[string]*secret.Value // nil = unset

	Release *document.Release // the result; nil if nothing changed

	sealed map[string]secret.Sealed
	app    *document.App
}

// Action is config.set.
func (*Set) Action() string { return "config.set" }

// Prepare checks and seals the values.
func (c *Set) Prepare(ctx context.Context, t control.Tools) error {
	if len(c.Values) > document.MaxConfigVars {
		return fault.New(fault.Invalid, "An app has at most %d config vars.", document.MaxConfigVars)
	}
	var app *document.App
	if err := t.Store.Read(ctx, func(v store.View) (err error) {
		app, err = apps.Find(v, c.App)
		return err
	}); err != nil {
		return err
	}
	c.sealed = map[string]secret.Sealed{}
	for name, value := range c.Values {
		if err := document.CheckConfigName(name); err != nil {
			return err
		}
		if value == nil {
			continue
		}
		if len(value.Reveal()) > document.MaxConfigValue || strings.ContainsRune(string(value.Reveal()), 0) {
			return fault.New(fault.Invalid, "The value of %s is longer than %d bytes or holds a NUL.", name, document.MaxConfigValue)
		}
		s, err := t.Keyring.Seal(ctx, app.Space, *value)
		if err != nil {
			return err
		}
		c.sealed[name] = s
	}
	return nil
}

// Aim is the app.
func (c *Set) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = apps.Find(v, c.App); err != nil {
		return control.Aim{}, err
	}
	return apps.Aim(c.app, authz.AppOperate), nil
}

// Decide leaves vars alone that an add-on sets.
func (c *Set) Decide(v store.View, by control.By, now time.Time, d *control.Decision) error {
	cfg, err := store.Get[*document.Config](v, c.app.ID)
	if err != nil {
		return err
	}
	var set, unset []string
	for name := range c.Values {
		if i := index(cfg, name); i >= 0 && cfg.Vars[i].Owner != "" {
			return fault.New(fault.Invalid, "%s is set by an add-on. Detach that instead: heroku addons:detach", name)
		}
		if s, ok := c.sealed[name]; ok {
			Put(cfg, name, s, "")
			d.Sealed = append(d.Sealed, s)
			set = append(set, name)
		} else if Drop(cfg, name) {
			unset = append(unset, name)
		}
	}
	if len(cfg.Vars) > document.MaxConfigVars {
		return fault.New(fault.Invalid, "An app has at most %d config vars.", document.MaxConfigVars)
	}
	if len(set)+len(unset) == 0 {
		return nil
	}
	slices.Sort(set)
	slices.Sort(unset)
	d.Note("set", strings.Join(set, " "))
	d.Note("unset", strings.Join(unset, " "))
	c.Release, err = Cut(v, c.app, cfg, describe(set, unset), by.Actor.ID, by.Actor.Email, now, d)
	return err
}

func describe(set, unset []string) string {
	switch {
	case len(unset) == 0:
		return "Set " + strings.Join(set, ", ") + " config vars"
	case len(set) == 0:
		return "Remove " + strings.Join(unset, ", ") + " config vars"
	}
	return "Update " + strings.Join(append(set, unset...), ", ") + " config vars"
}

// Cut puts a changed config and a release that runs with it.
func Cut(v store.View, app *document.App, cfg *document.Config, description, by, email string, now time.Time, d *control.Decision) (*document.Release, error) {
	rev, _, err := v.Rev(document.KindConfig, app.ID)
	if err != nil {
		return nil, err
	}
	d.Put(cfg)
	return releases.Release(v, releases.Cut{
		App: app, Description: description, ConfigRev: rev + 1, By: by, ByEmail: email,
	}, now, d)
}

// Put sets a var in a config.
func Put(c *document.Config, name string, s secret.Sealed, owner string) {
	x := document.ConfigVar{Name: name, Value: document.Sealed{ID: s.ID, SHA256: s.Digest()}, Owner: owner}
	if i := index(c, name); i >= 0 {
		c.Vars[i] = x
		return
	}
	c.Vars = append(c.Vars, x)
	slices.SortFunc(c.Vars, func(a, b document.ConfigVar) int { return strings.Compare(a.Name, b.Name) })
}

// Drop removes a var from a config and tells whether it was there.
func Drop(c *document.Config, name string) bool {
	i := index(c, name)
	if i >= 0 {
		c.Vars = slices.Delete(c.Vars, i, i+1)
	}
	return i >= 0
}

func index(c *document.Config, name string) int {
	return slices.IndexFunc(c.Vars, func(x document.ConfigVar) bool { return x.Name == name })
}
