package api

import (
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

// presentRelease shows a release of the app; single adds the address of its
// output, which a list has no use for.
func (c *call) presentRelease(a query.App, plans []string, single bool) func(*query.Reader, *document.Release) (view.Release, error) {
	return func(q *query.Reader, r *document.Release) (view.Release, error) {
		x := view.ReleaseContext{App: a.App, Plans: plans}
		if single {
			var err error
			if x.Output, err = c.releaseStream(q, a, r); err != nil {
				return view.Release{}, err
			}
		}
		return view.OfRelease(r, x), nil
	}
}

var releaseProperties = []property[view.Release]{
	{name: "version", number: func(r view.Release) int64 { return int64(r.Version) }},
	{name: "id", text: func(r view.Release) string { return r.ID }},
}

func listReleases(c *call) (Answer, error) {
	var out []view.Release
	err := c.read(func(q *query.Reader) error {
		a, err := c.app(q)
		if err != nil {
			return err
		}
		list, err := q.Releases(a)
		if err != nil {
			return err
		}
		plans, err := q.Plans(a)
		if err != nil {
			return err
		}
		present := c.presentRelease(a, plans, false)
		for _, r := range list {
			x, err := present(q, r)
			if err != nil {
				return err
			}
			out = append(out, x)
		}
		return nil
	})
	if err != nil {
		return Answer{}, err
	}
	return page(c.r, out, releaseProperties...)
}

func getRelease(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Release, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Release{}, err
		}
		r, err := q.Release(a, c.path("release"))
		if err != nil {
			return view.Release{}, err
		}
		return c.shownRelease(q, a, r)
	}))
}

func (c *call) shownRelease(q *query.Reader, a query.App, r *document.Release) (view.Release, error) {
	plans, err := q.Plans(a)
	if err != nil {
		return view.Release{}, err
	}
	return c.presentRelease(a, plans, true)(q, r)
}

// releaseNow shows a release as it is after a command, which may have put it
// more than once.
func (c *call) releaseNow(id string) (view.Release, error) {
	return show(c, func(q *query.Reader) (view.Release, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return view.Release{}, err
		}
		r, err := q.Release(a, id)
		if err != nil {
			return view.Release{}, err
		}
		return c.shownRelease(q, a, r)
	})
}

// visibleRelease is a release of the path's app, for a command to act on.
func (c *call) visibleRelease(identity string) (*document.Release, error) {
	return show(c, func(q *query.Reader) (*document.Release, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return nil, err
		}
		return q.Release(a, identity)
	})
}

// createRelease rolls back. New code comes by git push.
func createRelease(c *call) (Answer, error) {
	var in struct {
		Release ref `json:"release"`
		Slug    ref `json:"slug"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Release == "" {
		return Answer{}, fault.New(fault.Invalid, "release is missing: it names the release to roll back to. New code is released by git push.")
	}
	r, err := c.visibleRelease(string(in.Release))
	if err != nil {
		return Answer{}, err
	}
	cmd := &releases.Rollback{App: c.path("app"), Identity: r.ID}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(c.releaseNow(cmd.Release.ID))
}

// approveRelease is a second person's yes: before the release goes live, or after
// an emergency; or what stands in its place in one.
func approveRelease(c *call) (Answer, error) {
	var in struct {
		Note      string `json:"note"`
		Emergency bool   `json:"emergency"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Emergency && in.Note != "" {
		return Answer{}, fault.New(fault.Invalid, "note is what a second person says. In an emergency give the reason: header Strongroom-Reason.")
	}
	r, err := c.visibleRelease(c.path("release"))
	if err != nil {
		return Answer{}, err
	}
	var cmd control.Command
	switch app := c.path("app"); {
	case in.Emergency:
		cmd = &releases.Emergency{App: app, Identity: r.ID}
	case r.Emergency:
		cmd = &releases.Review{App: app, Identity: r.ID, Note: in.Note}
	default:
		cmd = &releases.Approve{App: app, Identity: r.ID, Note: in.Note}
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(c.releaseNow(r.ID))
}

func (c *call) presentBuild(q *query.Reader, a query.App, b *document.Build) (view.Build, error) {
	released, err := q.Released(b)
	if err != nil {
		return view.Build{}, err
	}
	output, err := c.outputURL(q, a, buildOutput, b.ID)
	if err != nil {
		return view.Build{}, err
	}
	return c.cfg.Site.OfBuild(b, a.App, released, output), nil
}

func listBuilds(c *call) (Answer, error) {
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	return listed(c, func(q *query.Reader) ([]*document.Build, error) { return q.Builds(a) },
		func(q *query.Reader, b *document.Build) (view.Build, error) { return c.presentBuild(q, a, b) },
		property[view.Build]{name: "id", text: func(b view.Build) string { return b.ID }})
}

func getBuild(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Build, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Build{}, err
		}
		b, err := q.Build(a, c.path("build"))
		if err != nil {
			return view.Build{}, err
		}
		return c.presentBuild(q, a, b)
	}))
}

func getSlug(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Slug, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Slug{}, err
		}
		s, err := q.Slug(a, c.path("slug"))
		if err != nil {
			return view.Slug{}, err
		}
		return view.OfSlug(s, a.Stack), nil
	}))
}
