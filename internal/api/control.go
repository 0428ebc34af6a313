package api

import (
	"net/url"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/past"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

// programme is what controls there are, and the scopes whose evidence the caller
// reads, of which ?scope= picks one; with ?destroyed=true that is a space that
// there is no more.
func (c *call) programme() (*compliance.Programme, compliance.Sight, error) {
	if c.cfg.Programme == nil {
		return nil, nil, missing("Compliance")
	}
	values := c.r.URL.Query()
	scope := values.Get("scope")
	switch values.Get("destroyed") {
	case "true":
		sees, err := c.destroyed(scope, values.Get("from"))
		return c.cfg.Programme, sees, err
	case "", "false":
	default:
		return nil, nil, fault.New(fault.Invalid, "destroyed is true or false.")
	}
	sees, err := show(c, func(q *query.Reader) (map[string]bool, error) { return q.Evidence(scope) })
	return c.cfg.Programme, sees, err
}

// destroyed finds a space that there is no more among those that teams had whose
// evidence the caller reads. Only its past can be told.
func (c *call) destroyed(space, from string) (compliance.Sight, error) {
	if space == "" || from == "" {
		return nil, fault.New(fault.Invalid, "destroyed needs scope, the space, and from: only the past of a space can be told that there is no more.")
	}
	reads, err := show(c, func(q *query.Reader) (map[string]bool, error) { return q.Evidence("") })
	if err != nil {
		return nil, err
	}
	sight, err := past.NewSight(c.ctx, c.cfg.Store, reads)
	if err != nil {
		return nil, err
	}
	id := sight.Last(space)
	if id == "" {
		return nil, fault.New(fault.NotFound, "Couldn't find a space %.80q that was destroyed.", space)
	}
	return compliance.Sight{id: true}, nil
}

// standings tells how the controls stand now, those of ?framework= if it is given.
func (c *call) standings(p *compliance.Programme, sees compliance.Sight) ([]compliance.Standing, error) {
	framework := c.r.URL.Query().Get("framework")
	if framework != "" && p.Framework(framework) == nil {
		return nil, fault.New(fault.NotFound, "Couldn't find that framework. There are: %v.", p.FrameworkIDs())
	}
	list, err := show(c, func(q *query.Reader) ([]compliance.Standing, error) { return p.Now(q.View(), c.cfg.Now(), sees) })
	return slices.DeleteFunc(list, func(s compliance.Standing) bool {
		return framework != "" && !slices.ContainsFunc(s.Maps, func(m compliance.Mapping) bool { return m.Framework == framework })
	}), err
}

func listControls(c *call) (Answer, error) {
	p, sees, err := c.programme()
	if err != nil {
		return Answer{}, err
	}
	recall, err := c.recall(p, sees)
	if err != nil {
		return Answer{}, err
	}
	list, err := c.standings(p, sees)
	if err != nil {
		return Answer{}, err
	}
	items := []view.Control{}
	for _, s := range list {
		item := ofStanding(s)
		if recall != nil {
			item.Period = ofShare(recall.History(s.Control))
		}
		items = append(items, item)
	}
	return page(c.r, items, property[view.Control]{name: "id", text: func(x view.Control) string { return x.ID }})
}

// standing is the path's control.
func (c *call) standing() (*compliance.Programme, compliance.Sight, compliance.Standing, error) {
	p, sees, err := c.programme()
	if err != nil {
		return nil, nil, compliance.Standing{}, err
	}
	list, err := c.standings(p, sees)
	if err != nil {
		return nil, nil, compliance.Standing{}, err
	}
	i := slices.IndexFunc(list, func(s compliance.Standing) bool { return s.ID == c.path("control") })
	if i < 0 {
		return nil, nil, compliance.Standing{}, fault.New(fault.NotFound, "Couldn't find that control.")
	}
	return p, sees, list[i], nil
}

func getControl(c *call) (Answer, error) {
	p, _, s, err := c.standing()
	if err != nil {
		return Answer{}, err
	}
	return ok(ofControl(p, s), nil)
}

// getControlHistory tells how a control stood from ?from= to ?to=, by default in
// the last 90 days.
func getControlHistory(c *call) (Answer, error) {
	p, sees, s, err := c.standing()
	if err != nil {
		return Answer{}, err
	}
	recall, err := c.recall(p, sees)
	if err != nil {
		return Answer{}, err
	}
	if recall == nil {
		now := c.cfg.Now()
		if recall, err = p.Recall(c.ctx, c.cfg.Store, compliance.Period{From: now.Add(-90 * 24 * time.Hour), To: now, Sees: sees}); err != nil {
			return Answer{}, err
		}
	}
	return ok(ofHistory(s.Control, recall.History(s.Control)), nil)
}

// recall reads the period of ?from= and ?to=, nil if there is no from.
func (c *call) recall(p *compliance.Programme, sees compliance.Sight) (*compliance.Recall, error) {
	from, to, err := between(c.r.URL.Query(), c.cfg.Now())
	if err != nil || from.IsZero() {
		return nil, err
	}
	return p.Recall(c.ctx, c.cfg.Store, compliance.Period{From: from, To: to, Sees: sees})
}

// between reads a period that ends now at the latest.
func between(values url.Values, now time.Time) (from, to time.Time, err error) {
	if from, err = moment(values.Get("from")); err != nil {
		return from, to, err
	}
	if to, err = moment(values.Get("to")); err != nil {
		return from, to, err
	}
	switch {
	case from.IsZero() && !to.IsZero():
		return from, to, fault.New(fault.Invalid, "to needs from.")
	case to.IsZero():
		to = now
	case to.After(now):
		return from, to, fault.New(fault.Invalid, "The period ends in the future.")
	}
	return from, to, nil
}
