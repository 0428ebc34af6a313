package past

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// Thing is what something can be done with: a team, a space or an app.
type Thing struct {
	Kind document.Kind
	ID   string
	Name string
	Team *document.Team // that it belonged to
	apps []*document.App
	in   []string // scopes in which documents tell who could do something with it
}

// Person is somebody who could do something with a thing; or, with Lost, a document
// that is not known and might say so of somebody.
type Person struct {
	Lost        *Document
	Account     string
	Email       string
	Name        string
	Roles       []string // in the team, and operator
	Permissions []string
	Holds       []Hold
}

// Hold is by what somebody could do it: a role, or access to a single app.
type Hold struct {
	As          string // the role
	On          Thing  // team, app or installation
	Permissions []string
	Origin      Origin // the entry that gave it
	By          string // address of who gave it
	Approver    string // address of the second person, "" = none

	from func(document.Doc) bool
	doc  document.Doc
}

// people are the kinds that tell who may do what, and things those that it is
// done with.
var (
	people = []document.Kind{document.KindAccount, document.KindMember, document.KindCollaborator}
	things = []document.Kind{document.KindApp, document.KindSpace, document.KindTeam}
)

// Things finds what was called so at a moment: by name, by id, or by kind and
// either ("app:intake"). What is lost, and may have been called so, comes with it.
func (r *Reader) Things(ctx context.Context, m Moment, called string) (out []Thing, lost []Document, err error) {
	only, name, ok := strings.Cut(called, ":")
	if !ok || !slices.Contains(things, document.Kind(only)) {
		only, name = "", called
	}
	err = r.remembering(ctx, m, things, func(v *memory) error {
		lost = v.lost
		for _, kind := range things {
			if only != "" && only != string(kind) {
				continue
			}
			list, err := v.Find(kind, "name", name)
			if err != nil {
				return err
			}
			one, err := v.Get(kind, name)
			if err != nil {
				return err
			}
			if one != nil {
				list = append(list, one)
			}
			for _, d := range list {
				t, err := thingOf(v, d)
				if err != nil {
					return err
				}
				out = append(out, t)
			}
		}
		return nil
	})
	for i := range out {
		if err == nil && out[i].Kind == document.KindTeam {
			err = r.lostSpaces(ctx, &out[i], lost)
		}
	}
	lost = slices.DeleteFunc(lost, func(d Document) bool { return only != "" && only != string(d.Kind) })
	return out, lost, err
}

// NoThing says that nothing is known to have been called so: none, or, of what is
// lost and the caller may know of, that it may have been.
func (r *Reader) NoThing(ctx context.Context, none error, called string, lost []Document) error {
	lost = slices.DeleteFunc(lost, func(d Document) bool { return !r.Sight.sees(d) })
	for _, d := range lost {
		if _, id, ok := strings.Cut(called, ":"); d.ID != called && (!ok || d.ID != id) {
			continue
		}
		list := []Document{d}
		if err := r.tell(ctx, list); err != nil {
			return err
		}
		e := list[0].Erased
		return fault.New(fault.Conflict, "What the %s %s was at that time is not known since entry %d: its body was erased by entry %d on %s (%s). So it is not known either who could do what with it.",
			d.Kind, d.ID, d.Seq, e.By, e.At.Format(time.RFC3339), e.Reason)
	}
	return unnamed(none, lost)
}

// lostSpaces adds to where a team's documents lie its spaces that are lost: no
// space ever changes its team, so that a later version tells whose it was.
func (r *Reader) lostSpaces(ctx context.Context, team *Thing, lost []Document) error {
	for _, d := range lost {
		if d.Kind != document.KindSpace {
			continue
		}
		s, err := store.LastKnown[*document.Space](ctx, r.Store, d.ID)
		if err != nil {
			return err
		}
		if s != nil && s.Team == team.ID {
			team.in = append(team.in, s.ID)
		}
	}
	return nil
}

// thingOf takes along what else tells who could do something with a thing: its
// team, the apps that single people had access to, and where to look for what is
// lost of all that.
func thingOf(v store.View, d document.Doc) (t Thing, err error) {
	team := ""
	switch x := d.(type) {
	case *document.App:
		t, team = Thing{Kind: x.Kind(), ID: x.ID, Name: x.Name, apps: []*document.App{x}, in: []string{x.Space}}, x.Team
	case *document.Space:
		t, team = Thing{Kind: x.Kind(), ID: x.ID, Name: x.Name, in: []string{x.ID}}, x.Team
		t.apps, err = store.Find[*document.App](v, "space", x.ID)
	case *document.Team:
		t, team = Thing{Kind: x.Kind(), ID: x.ID, Name: x.Name}, x.ID
		if t.apps, err = store.Find[*document.App](v, "team", x.ID); err != nil {
			return t, err
		}
		var list []*document.Space
		list, err = store.Find[*document.Space](v, "team", x.ID)
		for _, s := range list {
			t.in = append(t.in, s.ID)
		}
	}
	if err != nil {
		return t, err
	}
	t.in = append(t.in, team)
	t.Team, err = store.Get[*document.Team](v, team)
	if fault.Of(err) == fault.NotFound { // lost: a team never goes
		t.Team, err = &document.Team{Base: document.Base{ID: team}}, nil
	}
	return t, err
}

// concerns tells whether what is lost might say who could do something with the
// thing: any account, for it may have been an operator, and what lies in the
// thing's scopes.
func (t Thing) concerns(d Document) bool {
	switch d.Kind {
	case document.KindAccount:
		return true
	case document.KindApp: // to which single people may have had access
		return t.Kind != document.KindApp && slices.Contains(t.in, d.Scope)
	}
	return slices.Contains(t.in, d.Scope)
}

// Who lists who could do something with a thing at a moment, by address, and how
// they came to. do is a permission, "" = any. What else stands in the way of a
// permission, such as the need of a second person, is not told.
func (r *Reader) Who(ctx context.Context, m Moment, on Thing, do string, p Page) (out Part[Person], err error) {
	need, err := needed(on, do)
	if err != nil {
		return out, err
	}
	var all []Person
	emails := map[string]string{}
	err = r.remembering(ctx, m, append([]document.Kind{document.KindApp}, people...), func(v *memory) error {
		accounts, err := store.Find[*document.Account](v, "all", "")
		if err != nil {
			return err
		}
		for _, a := range accounts {
			emails[a.ID] = a.Email
			x, err := could(v, a, on, need)
			if err != nil {
				return err
			}
			if len(x.Holds) > 0 {
				all = append(all, x)
			}
		}
		for _, d := range v.lost {
			if on.concerns(d) {
				all = append(all, Person{Lost: &d})
			}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	all = slices.DeleteFunc(all, func(x Person) bool { return p.before(x.key()) || p.beyond(x.key()) })
	slices.SortFunc(all, func(a, b Person) int { return cmp.Compare(a.key(), b.key()) })
	if len(all) > p.Max {
		all = all[:p.Max]
		out.Next = all[p.Max-1].key()
	}
	for i := range all {
		if err := r.explain(ctx, m, &all[i], emails); err != nil {
			return out, err
		}
	}
	out.Items = all
	return out, nil
}

// key orders people by address. What is lost comes last: no address begins so.
func (x Person) key() string {
	if x.Lost != nil {
		return "~" + keyOf(x.Lost.Kind, x.Lost.ID)
	}
	return x.Email
}

// needed are the permissions that are asked about.
func needed(on Thing, do string) ([]authz.Permission, error) {
	list := authz.About(string(on.Kind))
	if do == "" {
		return list, nil
	}
	if !slices.Contains(list, authz.Permission(do)) {
		return nil, fault.New(fault.Invalid, "There is no permission %.32q on a thing of the kind %s. Permissions are %v.", do, on.Kind, list)
	}
	return []authz.Permission{authz.Permission(do)}, nil
}

// could asks authz for each role by itself, and for each app without any role: so
// it shows what each gives.
func could(v store.View, a *document.Account, on Thing, need []authz.Permission) (Person, error) {
	x := Person{Account: a.ID, Email: a.Email, Name: a.Name}
	var err error
	if x.Roles, err = authz.RolesOf(v, a.ID, on.Team.ID); err != nil {
		return x, err
	}
	for _, role := range x.Roles {
		h, err := byRole(v, a, role, on)
		if err != nil {
			return x, err
		}
		if err := x.add(v, h, []string{role}, need, authz.Resource{Team: on.Team.ID}); err != nil {
			return x, err
		}
	}
	for _, app := range on.apps {
		h, err := byApp(v, a, app)
		if err != nil {
			return x, err
		}
		if err := x.add(v, h, nil, need, authz.Resource{Team: app.Team, App: app.ID}); err != nil {
			return x, err
		}
	}
	slices.Sort(x.Permissions)
	x.Permissions = slices.Compact(x.Permissions)
	return x, nil
}

// add keeps a hold with what authz says that it gives, if that is anything.
func (x *Person) add(v store.View, h Hold, roles []string, need []authz.Permission, on authz.Resource) error {
	for _, p := range need {
		ok, err := authz.Allowed(v, authz.Subject{Account: x.Account}, roles, p, on)
		if err != nil {
			return err
		}
		if ok {
			h.Permissions = append(h.Permissions, string(p))
		}
	}
	if len(h.Permissions) > 0 {
		x.Holds = append(x.Holds, h)
		x.Permissions = append(x.Permissions, h.Permissions...)
	}
	return nil
}

// byRole is a role with the document that gives it.
func byRole(v store.View, a *document.Account, role string, on Thing) (Hold, error) {
	if role == string(authz.Operator) {
		return Hold{
			As: role, On: Thing{Kind: document.KindInstallation}, doc: a,
			from: func(d document.Doc) bool { return d.(*document.Account).Operator },
		}, nil
	}
	h := Hold{As: role, On: Thing{Kind: on.Team.Kind(), ID: on.Team.ID, Name: on.Team.Name}}
	members, err := store.Find[*document.Member](v, "team+account", on.Team.ID+"+"+a.ID)
	if err != nil {
		return h, err
	}
	for _, m := range members {
		if slices.Contains(m.Roles, role) {
			h.doc = m
			h.from = func(d document.Doc) bool {
				was := d.(*document.Member)
				return slices.Contains(was.Roles, role) && grantOf(was, role).At.Equal(grantOf(m, role).At)
			}
		}
	}
	return h, nil
}

func grantOf(m *document.Member, role string) document.Grant {
	i := slices.IndexFunc(m.GrantedBy, func(g document.Grant) bool { return g.Role == role })
	if i < 0 {
		return document.Grant{}
	}
	return m.GrantedBy[i]
}

// byApp is the access to a single app with the document that gives it.
func byApp(v store.View, a *document.Account, app *document.App) (Hold, error) {
	h := Hold{As: string(authz.Collaborator), On: Thing{Kind: document.KindApp, ID: app.ID, Name: app.Name}}
	list, err := store.Find[*document.Collaborator](v, "app+account", app.ID+"+"+a.ID)
	if err != nil || len(list) == 0 {
		return h, err
	}
	h.doc = list[0]
	h.from = func(d document.Doc) bool {
		return slices.Equal(d.(*document.Collaborator).Permissions, list[0].Permissions)
	}
	return h, nil
}

// explain finds the entries that gave what somebody holds, and who did; or why it
// is lost.
func (r *Reader) explain(ctx context.Context, m Moment, x *Person, emails map[string]string) (err error) {
	if x.Lost != nil {
		list := []Document{*x.Lost}
		err := r.tell(ctx, list)
		x.Lost = &list[0]
		return err
	}
	for i := range x.Holds {
		h := &x.Holds[i]
		if h.doc == nil {
			continue
		}
		if h.Origin, err = r.origin(ctx, h.doc.Kind(), h.doc.Ident(), m.Size, h.from); err != nil {
			return err
		}
		h.By = h.Origin.By
		if member, ok := h.doc.(*document.Member); ok {
			g := grantOf(member, h.As)
			h.By, h.Approver = cmp.Or(g.ByEmail, h.By), cmp.Or(emails[g.Approver], g.Approver)
		}
	}
	return nil
}
