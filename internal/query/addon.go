package query

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Addon is an add-on with its app and team, nil where they are gone, and who is
// attached to it.
type Addon struct {
	*document.Addon
	App         *document.App
	Team        *document.Team
	Attachments []*document.Attachment
}

// Addon finds an add-on by name or id, or by the name of an attachment to the
// app (name or id; "" = no app is given). It is seen by whoever sees its app or
// an app that it is attached to.
func (r *Reader) Addon(identity, app string, need authz.Permission) (Addon, error) {
	x, err := r.findAddon(identity, app)
	if err != nil {
		return Addon{}, err
	}
	full, err := r.addon(x)
	if err != nil {
		return full, err
	}
	return full, r.checkAddon(full, need)
}

func (r *Reader) findAddon(identity, app string) (*document.Addon, error) {
	x, err := named[*document.Addon](r.v, identity)
	if app == "" || fault.Of(err) != fault.NotFound {
		return x, err
	}
	a, err := named[*document.App](r.v, app)
	if fault.Of(err) == fault.NotFound {
		return nil, fault.New(fault.NotFound, "Couldn't find that addon.")
	}
	if err != nil {
		return nil, err
	}
	list, err := r.attachmentsNamed(a, identity)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.New(fault.NotFound, "Couldn't find that addon.")
	}
	return store.Get[*document.Addon](r.v, list[0].Addon)
}

func (r *Reader) attachmentsNamed(a *document.App, name string) ([]*document.Attachment, error) {
	name = strings.TrimSuffix(strings.ToUpper(name), "_URL")
	return store.Find[*document.Attachment](r.v, "app+name", a.ID+"+"+name)
}

func (r *Reader) addon(x *document.Addon) (Addon, error) {
	out := Addon{Addon: x}
	var err error
	if out.App, err = known[*document.App](r, x.App); err != nil {
		return out, err
	}
	if out.Team, err = known[*document.Team](r, x.Team); err != nil {
		return out, err
	}
	out.Attachments, err = store.Find[*document.Attachment](r.v, "addon", x.ID)
	slices.SortFunc(out.Attachments, func(a, b *document.Attachment) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

func (r *Reader) checkAddon(x Addon, need authz.Permission) error {
	if ok, err := r.mayAttached(x, need); ok || err != nil {
		return err
	}
	aim := control.Aim{
		Scope: x.Addon.Space, App: x.Addon.App, Target: ledger.Target{Kind: "addon", ID: x.ID, Name: x.Name},
		Need: need, See: authz.AppView, On: authz.Resource{Team: x.Addon.Team, App: x.Addon.App},
	}
	return r.check(aim)
}

// mayAttached tells whether the caller has the permission through an app that
// the add-on is attached to. Secrets and changes are its own app's alone.
func (r *Reader) mayAttached(x Addon, need authz.Permission) (bool, error) {
	if need != authz.AppView {
		return false, nil
	}
	for _, at := range x.Attachments {
		a, err := known[*document.App](r, at.App)
		if err != nil {
			return false, err
		}
		if a == nil {
			continue
		}
		if ok, err := r.may(need, authz.Resource{Team: a.Team, App: a.ID}); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// Addons lists the add-ons of all apps that the caller sees, by name.
func (r *Reader) Addons() ([]Addon, error) {
	apps, err := r.Apps()
	if err != nil {
		return nil, err
	}
	return r.addonsOf(apps, false)
}

// AddonsOf lists an app's add-ons: its own, and those attached to it.
func (r *Reader) AddonsOf(a App) ([]Addon, error) { return r.addonsOf([]App{a}, true) }

// AddonsOfTeam lists the add-ons of a team's apps.
func (r *Reader) AddonsOfTeam(t Team) ([]Addon, error) {
	apps, err := r.AppsOf(t)
	if err != nil {
		return nil, err
	}
	return r.addonsOf(apps, false)
}

func (r *Reader) addonsOf(apps []App, attached bool) ([]Addon, error) {
	seen := map[string]*document.Addon{}
	for _, a := range apps {
		own, err := store.Find[*document.Addon](r.v, "app", a.ID)
		if err != nil {
			return nil, err
		}
		for _, x := range own {
			seen[x.ID] = x
		}
		if !attached {
			continue
		}
		list, err := store.Find[*document.Attachment](r.v, "app", a.ID)
		if err != nil {
			return nil, err
		}
		for _, at := range list {
			x, err := known[*document.Addon](r, at.Addon)
			if err != nil {
				return nil, err
			}
			if x != nil {
				seen[x.ID] = x
			}
		}
	}
	out := make([]Addon, 0, len(seen))
	for _, x := range seen {
		full, err := r.addon(x)
		if err != nil {
			return nil, err
		}
		out = append(out, full)
	}
	slices.SortFunc(out, func(a, b Addon) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Attachment is an attachment with its app and its add-on.
type Attachment struct {
	*document.Attachment
	App   *document.App
	Addon Addon
}

// attachment fills in what one refers to; found is false where something of it
// is gone.
func (r *Reader) attachment(at *document.Attachment) (out Attachment, found bool, err error) {
	out.Attachment = at
	if out.App, err = known[*document.App](r, at.App); err != nil || out.App == nil {
		return out, false, err
	}
	x, err := known[*document.Addon](r, at.Addon)
	if err != nil || x == nil {
		return out, false, err
	}
	out.Addon, err = r.addon(x)
	return out, out.Addon.App != nil, err
}

func (r *Reader) attachments(list []*document.Attachment) ([]Attachment, error) {
	out := make([]Attachment, 0, len(list))
	for _, at := range list {
		full, found, err := r.attachment(at)
		if err != nil {
			return nil, err
		}
		if found {
			out = append(out, full)
		}
	}
	slices.SortFunc(out, func(a, b Attachment) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Attachments lists the attachments of all apps that the caller sees.
func (r *Reader) Attachments() ([]Attachment, error) {
	apps, err := r.Apps()
	if err != nil {
		return nil, err
	}
	var all []*document.Attachment
	for _, a := range apps {
		list, err := store.Find[*document.Attachment](r.v, "app", a.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return r.attachments(all)
}

// AttachmentsOf lists an app's attachments.
func (r *Reader) AttachmentsOf(a App) ([]Attachment, error) {
	list, err := store.Find[*document.Attachment](r.v, "app", a.ID)
	if err != nil {
		return nil, err
	}
	return r.attachments(list)
}

// AttachmentsTo lists the attachments of an add-on to apps that the caller sees.
func (r *Reader) AttachmentsTo(x Addon) ([]Attachment, error) {
	all, err := r.attachments(x.Attachments)
	if err != nil {
		return nil, err
	}
	out := make([]Attachment, 0, len(all))
	for _, at := range all {
		ok, err := r.may(authz.AppView, authz.Resource{Team: at.App.Team, App: at.App.ID})
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, at)
		}
	}
	return out, nil
}

// Attachment finds an attachment by id.
func (r *Reader) Attachment(id string) (Attachment, error) {
	at, err := store.Get[*document.Attachment](r.v, id)
	if err != nil {
		return Attachment{}, err
	}
	return r.seenAttachment(at)
}

// AttachmentOf finds an attachment of an app by id, name, or name with _URL.
func (r *Reader) AttachmentOf(a App, identity string) (Attachment, error) {
	list, err := store.Find[*document.Attachment](r.v, "app", a.ID)
	if err != nil {
		return Attachment{}, err
	}
	name := strings.TrimSuffix(strings.ToUpper(identity), "_URL")
	for _, at := range list {
		if at.ID == identity || at.Name == name {
			return r.seenAttachment(at)
		}
	}
	return Attachment{}, notHere[*document.Attachment](r, identity, "attachment")
}

func (r *Reader) seenAttachment(at *document.Attachment) (Attachment, error) {
	full, found, err := r.attachment(at)
	if err != nil {
		return full, err
	}
	if !found {
		return full, fault.New(fault.NotFound, "Couldn't find that attachment.")
	}
	aim := appAim(full.App, authz.AppView)
	aim.Target = ledger.Target{Kind: "attachment", ID: at.ID, Name: at.Name}
	return full, r.check(aim)
}

// ResolveAttachments finds what somebody may mean by a name: an attachment of
// the app, or the attachments to the app of an add-on with that name. Without
// an app, those of all apps that the caller sees.
func (r *Reader) ResolveAttachments(identity, app string) ([]Attachment, error) {
	var list []Attachment
	var err error
	if app != "" {
		a, err := r.App(app, authz.AppView)
		if err != nil {
			return nil, err
		}
		if list, err = r.AttachmentsOf(a); err != nil {
			return nil, err
		}
	} else if list, err = r.Attachments(); err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(strings.ToUpper(identity), "_URL")
	var byName, byAddon []Attachment
	for _, at := range list {
		switch {
		case at.ID == identity || at.Name == name:
			byName = append(byName, at)
		case at.Addon.ID == identity || at.Addon.Name == identity:
			byAddon = append(byAddon, at)
		}
	}
	if len(byName) > 0 {
		return byName, nil
	}
	if len(byAddon) > 0 {
		return byAddon, nil
	}
	return nil, fault.New(fault.NotFound, "Couldn't find that attachment.")
}

// ResolveAddons finds what somebody may mean by a name: an add-on, or what is
// attached to the app under it.
func (r *Reader) ResolveAddons(identity, app string) ([]Addon, error) {
	if app != "" {
		if _, err := r.App(app, authz.AppView); err != nil {
			return nil, err
		}
	}
	x, err := r.Addon(identity, app, authz.AppView)
	if err != nil {
		return nil, err
	}
	return []Addon{x}, nil
}
