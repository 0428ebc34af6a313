package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/past"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

// past reads what was, in the scopes whose evidence the caller reads now, of which
// ?scope= picks one.
func (c *call) past() (*past.Reader, error) {
	scope := c.r.URL.Query().Get("scope")
	reads, err := show(c, func(q *query.Reader) (map[string]bool, error) { return q.Evidence(scope) })
	if scope != "" && fault.Of(err) == fault.NotFound {
		return c.pastOfGone(scope, err)
	}
	if err != nil {
		return nil, err
	}
	if scope != "" {
		delete(reads, "") // the installation's comes along with every scope
	}
	sight, err := past.NewSight(c.ctx, c.cfg.Store, reads)
	return &past.Reader{Store: c.cfg.Store, Sight: sight}, err
}

// pastOfGone is for a space that there is no more; otherwise is what is answered
// if the caller's teams never had it.
func (c *call) pastOfGone(scope string, otherwise error) (*past.Reader, error) {
	reads, err := show(c, func(q *query.Reader) (map[string]bool, error) { return q.Evidence("") })
	if err != nil {
		return nil, otherwise
	}
	all, err := past.NewSight(c.ctx, c.cfg.Store, reads)
	if err != nil {
		return nil, err
	}
	sight, ok := all.Only(scope)
	if !ok {
		return nil, otherwise
	}
	return &past.Reader{Store: c.cfg.Store, Sight: sight}, nil
}

// moment is the point of the ledger that a parameter names.
func (c *call) moment(values url.Values, name string) (past.Moment, error) {
	t, err := moment(values.Get(name))
	if err != nil || t.IsZero() {
		return past.Moment{}, fault.New(fault.Invalid, "%s is a time such as 2026-01-31T00:00:00Z.", name)
	}
	return past.At(c.ctx, c.cfg.Store, t, c.cfg.Now())
}

// pastAt is what a question about one moment begins with.
func (c *call) pastAt() (r *past.Reader, m past.Moment, err error) {
	if r, err = c.past(); err == nil {
		m, err = c.moment(c.r.URL.Query(), "at")
	}
	return r, m, err
}

func getPast(c *call) (Answer, error) {
	r, m, err := c.pastAt()
	if err != nil {
		return Answer{}, err
	}
	counts, err := r.Counts(c.ctx, m)
	out := view.Past{At: ledger.FormatTime(m.At), Size: m.Size, Kinds: []view.PastKinds{}}
	for _, n := range counts {
		out.Kinds = append(out.Kinds, view.PastKinds(n))
	}
	return ok(out, err)
}

// pastOfKind is what a question about a kind of documents begins with.
func (c *call) pastOfKind() (*past.Reader, past.Moment, document.Kind, error) {
	r, m, err := c.pastAt()
	if err != nil {
		return r, m, "", err
	}
	kind, err := past.Kind(c.path("kind"))
	return r, m, kind, err
}

func listPast(c *call) (Answer, error) {
	r, m, kind, err := c.pastOfKind()
	if err != nil {
		return Answer{}, err
	}
	return part(c, "id", func(p past.Page) (past.Part[past.Document], error) { return r.Documents(c.ctx, m, kind, p) }, ofPastDocument)
}

func getPastDocument(c *call) (Answer, error) {
	r, m, kind, err := c.pastOfKind()
	if err != nil {
		return Answer{}, err
	}
	d, err := r.Document(c.ctx, m, kind, c.path("id"))
	var hidden *past.Hidden
	if errors.As(err, &hidden) {
		return Answer{}, c.read(func(q *query.Reader) error {
			return q.Hidden(hidden.Scope, hidden.Team, ledger.Target{Kind: string(hidden.Kind), ID: hidden.ID})
		})
	}
	return ok(ofPastDocument(d), err)
}

// listDifferences tells what became between ?from= and ?to= of what ?kind= names,
// by default of everything.
func listDifferences(c *call) (Answer, error) {
	r, err := c.past()
	if err != nil {
		return Answer{}, err
	}
	values := c.r.URL.Query()
	from, err := c.moment(values, "from")
	if err != nil {
		return Answer{}, err
	}
	to, err := c.moment(values, "to")
	if err != nil {
		return Answer{}, err
	}
	if !from.At.Before(to.At) {
		return Answer{}, fault.New(fault.Invalid, "to must be later than from.")
	}
	var kinds []document.Kind
	if name := values.Get("kind"); name != "" {
		kind, err := past.Kind(name)
		if err != nil {
			return Answer{}, err
		}
		kinds = append(kinds, kind)
	}
	return part(c, "document", func(p past.Page) (past.Part[past.Difference], error) { return r.Differences(c.ctx, from, to, kinds, p) }, ofDifference)
}

// listAble tells who could do something with the app, space or team of ?on= at a
// moment; ?do= asks for one permission.
func listAble(c *call) (Answer, error) {
	values := c.r.URL.Query()
	m, err := c.moment(values, "at")
	if err != nil {
		return Answer{}, err
	}
	r := &past.Reader{Store: c.cfg.Store}
	on, err := c.thing(r, m, values.Get("on"))
	if err != nil {
		return Answer{}, err
	}
	return part(c, "email", func(p past.Page) (past.Part[past.Person], error) { return r.Who(c.ctx, m, on, values.Get("do"), p) }, ofPerson)
}

// thing finds what was called so and what the caller now reads the evidence of.
func (c *call) thing(r *past.Reader, m past.Moment, called string) (past.Thing, error) {
	list, lost, err := r.Things(c.ctx, m, called)
	if err != nil {
		return past.Thing{}, err
	}
	var seen []past.Thing
	none := error(fault.New(fault.NotFound, "Couldn't find that app, space or team."))
	for _, t := range list {
		switch err := c.read(func(q *query.Reader) error { return q.PastOf(t.Team.ID) }); {
		case err == nil:
			seen = append(seen, t)
		case fault.Of(err) == fault.NotFound:
			none = err
		default:
			return past.Thing{}, err
		}
	}
	switch len(seen) {
	case 0:
		if len(list) == 0 && len(lost) > 0 {
			none = c.noThing(none, called, lost)
		}
		return past.Thing{}, none
	case 1:
		return seen[0], nil
	}
	return past.Thing{}, fault.New(fault.Invalid, "%q is the name of more than one thing. Say which: %[2]s:%[1]s or %[3]s:%[1]s.", called, seen[0].Kind, seen[1].Kind)
}

// noThing is for a name that nothing is known to have had, while things are lost
// that may have had it. Who reads no evidence is told nothing of them.
func (c *call) noThing(none error, called string, lost []past.Document) error {
	r, err := c.past()
	if err != nil {
		return none
	}
	return r.NoThing(c.ctx, none, called, lost)
}

// part answers with a page of a list that is too long to be read as a whole.
func part[D, T any](c *call, property string, read func(past.Page) (past.Part[D], error), present func(D) T) (Answer, error) {
	w, err := parseWindow(c.r.Header.Get("Range"))
	if err != nil {
		return Answer{}, err
	}
	if w.property != "" && w.property != property || w.desc {
		return Answer{}, unsatisfiable("This list can be cut by %s, in ascending order.", property)
	}
	w.property = property
	got, err := read(past.Page{From: w.from, To: w.to, After: w.exclusive, Max: w.max})
	if err != nil {
		return Answer{}, err
	}
	items := []T{}
	for _, d := range got.Items {
		items = append(items, present(d))
	}
	a := Answer{Body: items, Header: http.Header{"Accept-Ranges": {property}}}
	if got.Next != "" {
		a.Status = http.StatusPartialContent
		a.Header.Set("Next-Range", w.next(got.Next))
	}
	return a, nil
}

func ofPastDocument(d past.Document) view.PastDocument {
	return view.PastDocument{Kind: d.Kind, ID: d.ID, Name: present(d.Name), Scope: present(d.Scope), Rev: d.Rev, Seq: d.Seq, Doc: d.Doc, Erased: ofErasure(d.Erased)}
}

func ofErasure(e *past.Erasure) *view.PastErasure {
	if e == nil {
		return nil
	}
	return &view.PastErasure{
		Seq: e.Seq, Time: ledger.FormatTime(e.Since), Action: e.Action, Actor: e.Actor, Rule: e.Rule,
		By: e.By, At: ledger.FormatTime(e.At), Reason: e.Reason,
	}
}

func ofDifference(d past.Difference) view.Difference {
	out := view.Difference{
		Kind: d.Kind, ID: d.ID, Name: present(d.Name), Scope: present(d.Scope), Change: d.Change, Times: d.Times,
		Members: []view.DifferenceMember{}, Last: ofOrigin(d.Last), FromErased: ofErasure(d.Before), ToErased: ofErasure(d.After),
	}
	for _, m := range d.Members {
		out.Members = append(out.Members, view.DifferenceMember(m))
	}
	return out
}

func ofOrigin(o past.Origin) view.Origin {
	return view.Origin{Seq: o.Seq, Time: ledger.FormatTime(o.Time), Action: o.Action, By: o.By, Reason: present(o.Reason), Erased: ofErasure(o.Erased)}
}

func ofPerson(x past.Person) view.Able {
	out := view.Able{ID: x.Account, Email: x.Email, Name: x.Name, Roles: texts(x.Roles), Permissions: texts(x.Permissions), Holds: []view.Hold{}}
	if x.Lost != nil {
		lost := ofPastDocument(*x.Lost)
		out.Lost = &lost
	}
	for _, h := range x.Holds {
		out.Holds = append(out.Holds, view.Hold{
			As: h.As, On: view.HoldOn{Kind: h.On.Kind, ID: present(h.On.ID), Name: present(h.On.Name)}, Permissions: texts(h.Permissions),
			Entry: ofOrigin(h.Origin), GivenBy: h.By, Approver: present(h.Approver),
		})
	}
	return out
}
