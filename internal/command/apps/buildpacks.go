package apps

import (
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/packref"
	"github.com/strongroom/strongroom/internal/store"
)

// maxBuildpacks of an app.
const maxBuildpacks = 20

// SetBuildpacks replaces the buildpacks that an app's next builds use, in order;
// none means that builds find out by themselves.
type SetBuildpacks struct {
	Identity   string
	Buildpacks []string // names, or https URLs of git repositories
	List       *document.BuildpackList

	app *document.App
}

// Action is app.buildpacks.
func (*SetBuildpacks) Action() string { return "app.buildpacks" }

// Aim is the app: who may push code may say what builds it.
func (c *SetBuildpacks) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppDeploy), nil
}

// Decide refuses references that no build would take. Whether one of the
// operator's own is there is seen by the build.
func (c *SetBuildpacks) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if len(c.Buildpacks) > maxBuildpacks {
		return fault.New(fault.Invalid, "An app has at most %d buildpacks.", maxBuildpacks)
	}
	c.List = &document.BuildpackList{Base: document.Base{ID: c.app.ID}, App: c.app.ID, Space: c.app.Space, URLs: []string{}}
	for _, b := range c.Buildpacks {
		ref, err := packref.Parse(b)
		if err != nil {
			return err
		}
		if slices.Contains(c.List.URLs, ref.String()) {
			return fault.New(fault.Invalid, "The buildpack %.200s is there twice.", ref)
		}
		c.List.URLs = append(c.List.URLs, ref.String())
	}
	d.Note("buildpacks", strings.Join(c.List.URLs, " "))
	d.Put(c.List)
	return nil
}
