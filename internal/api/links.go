package api

import (
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func getLinks(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.AppLinks, error) {
		s, err := c.space(q)
		if err != nil {
			return view.AppLinks{}, err
		}
		list, err := q.AppsOfSpace(s)
		if err != nil {
			return view.AppLinks{}, err
		}
		apps := make([]*document.App, 0, len(list))
		for _, a := range list {
			apps = append(apps, a.App)
		}
		return view.OfAppLinks(s.Space, apps), nil
	}))
}

// appPair names two apps as clients write it.
type appPair struct {
	From ref `json:"from"`
	To   ref `json:"to"`
}

func appPairs(in []appPair) (out []spaces.AppPair) {
	for _, p := range in {
		out = append(out, spaces.AppPair{From: string(p.From), To: string(p.To)})
	}
	return out
}

func patchLinks(c *call) (Answer, error) {
	var in struct {
		Mode   string    `json:"mode"`
		Add    []appPair `json:"add"`
		Remove []appPair `json:"remove"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Mode == "" && len(in.Add) == 0 && len(in.Remove) == 0 {
		return Answer{}, fault.New(fault.Invalid, "Nothing to change: send mode, add or remove.")
	}
	cmd := &spaces.SetLinks{Identity: c.path("space"), Mode: in.Mode, Add: appPairs(in.Add), Remove: appPairs(in.Remove)}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return getLinks(c)
}
