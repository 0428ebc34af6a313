package api

import (
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func listRegions(c *call) (Answer, error) { return ok(c.cfg.Site.Regions(), nil) }

func getRegion(c *call) (Answer, error) {
	for _, r := range c.cfg.Site.Regions() {
		if c.path("region") == r.Name || c.path("region") == r.ID {
			return ok(r, nil)
		}
	}
	return Answer{}, fault.New(fault.NotFound, "Couldn't find that region.")
}

func (c *call) stack() view.Stack { return c.cfg.Site.OfStack(apps.Stack, true) }

func listStacks(c *call) (Answer, error) { return ok([]view.Stack{c.stack()}, nil) }

func getStack(c *call) (Answer, error) {
	s := c.stack()
	if c.path("stack") != s.Name && c.path("stack") != s.ID {
		return Answer{}, fault.New(fault.NotFound, "Couldn't find that stack.")
	}
	return ok(s, nil)
}

// getInstallation says whose ledger this is, and its verifier key: what an
// auditor compares with the engagement letter.
func getInstallation(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Installation, error) {
		i, err := q.Installation()
		if err != nil {
			return view.Installation{}, err
		}
		return view.OfInstallation(i, c.cfg.Version, q.View().Size()), nil
	}))
}
