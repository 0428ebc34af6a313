package api

import (
	"fmt"
	"net/http"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/packref"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func listBuildpacks(c *call) (Answer, error) {
	list, err := show(c, func(q *query.Reader) ([]string, error) {
		a, err := c.app(q)
		if err != nil {
			return nil, err
		}
		return q.Buildpacks(a)
	})
	return ok(view.OfBuildpacks(list), err)
}

// updateBuildpacks replaces the list, as the heroku CLI wants it: add and remove
// are its own doing.
func updateBuildpacks(c *call) (Answer, error) {
	var in struct {
		Updates []struct {
			Buildpack string `json:"buildpack"`
		} `json:"updates"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Updates == nil {
		return Answer{}, fault.New(fault.Invalid, "updates is missing.")
	}
	cmd := &apps.SetBuildpacks{Identity: c.path("app")}
	for _, u := range in.Updates {
		if u.Buildpack == "" {
			return Answer{}, fault.New(fault.Invalid, "There is no such buildpack. Give the https URL of its git repository, or urn:buildpack: and the name of one that this platform's operator has.")
		}
		cmd.Buildpacks = append(cmd.Buildpacks, view.BuildpackName(u.Buildpack))
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfBuildpacks(cmd.List.URLs), nil)
}

// buildpacksPath is where the heroku CLI asks what a buildpack's name stands
// for. It does not say who asks; the answer is part of the program.
const buildpacksPath = "/buildpacks/"

func (a *api) serveBuildpack(w http.ResponseWriter, r *http.Request) {
	c := a.call(Route{Method: r.Method}, w, r)
	ref, err := packref.Parse(r.PathValue("name"))
	if err != nil || ref.Kind != packref.BuiltIn {
		c.fail(fault.New(fault.NotFound, "Couldn't find that buildpack."))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"name\":%q,\"blob_url\":%q}\n", ref.Name, view.BuildpackURL(ref.Name))
}
