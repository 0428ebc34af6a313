package evidence

import (
	"cmp"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// isolation is what the isolation report shows: the space as it was at the end
// of the period, and what was tried against it.
type isolation struct {
	About
	Doc      *document.Space
	Others   int // spaces of the installation besides this one, whoever's they are
	Apps     []isolatedApp
	Addons   []*document.Addon
	Attempts []*document.Attempt
	Drawing  drawing
	PHI      []phiPath
	Lost     int // documents that are not known any more
}

type isolatedApp struct {
	*document.App
	Formations  []*document.Formation
	Domains     []*document.Domain
	Addons      []string // names of what is attached
	Attachments []*document.Attachment
}

// isolation reads the state that the pack shows.
func (p *export) isolation(a About, g *gathered) (*isolation, error) {
	out := &isolation{About: a}
	lost := map[store.Lost]bool{}
	err := p.cfg.Store.At(p.ctx, p.state, func(v store.View) (err error) {
		v = store.Surviving(v, func(l store.Lost) {
			if l.Scope == p.pack.Scope {
				lost[l] = true
			}
		})
		d, err := v.Get(document.KindSpace, p.pack.Scope)
		if err != nil {
			return err
		}
		if s, ok := d.(*document.Space); ok {
			out.Doc = s
		} else {
			// It began after the period, or ended in it, or is not known: as it last was.
			out.Doc = p.space
		}
		all, err := store.Find[*document.Space](v, "all", "")
		if err != nil {
			return err
		}
		out.Others = len(slices.DeleteFunc(all, func(s *document.Space) bool { return s.ID == p.pack.Scope }))
		if out.Addons, err = store.Find[*document.Addon](v, "space", p.pack.Scope); err != nil {
			return err
		}
		if out.Attempts, err = store.Find[*document.Attempt](v, "scope", p.pack.Scope); err != nil {
			return err
		}
		apps, err := store.Find[*document.App](v, "space", p.pack.Scope)
		if err != nil {
			return err
		}
		if err := out.readApps(v, apps); err != nil {
			return err
		}
		if out.Doc != p.space { // it was there at that time
			out.PHI, err = readPHI(v, out, slices.SortedFunc(maps.Values(g.open), func(a, b openSession) int { return cmp.Compare(a.seq, b.seq) }))
		}
		return err
	})
	out.Lost = len(lost)
	out.Drawing = out.draw()
	return out, err
}

// readApps reads what belongs to each app. It looks for each kind once: that
// reads all there ever was of it.
func (i *isolation) readApps(v store.View, apps []*document.App) error {
	formations, err := store.Find[*document.Formation](v, "all", "")
	if err != nil {
		return err
	}
	domains, err := store.Find[*document.Domain](v, "space", i.Doc.ID)
	if err != nil {
		return err
	}
	attachments, err := store.Find[*document.Attachment](v, "space", i.Doc.ID)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, a := range i.Addons {
		names[a.ID] = a.Name
	}
	for _, a := range apps {
		x := isolatedApp{App: a}
		x.Formations = of(formations, func(f *document.Formation) bool { return f.App == a.ID })
		x.Domains = of(domains, func(d *document.Domain) bool { return d.App == a.ID })
		x.Attachments = of(attachments, func(at *document.Attachment) bool { return at.App == a.ID })
		for _, at := range x.Attachments {
			x.Addons = append(x.Addons, names[at.Addon])
		}
		i.Apps = append(i.Apps, x)
	}
	return nil
}

func of[T any](list []T, its func(T) bool) (out []T) {
	for _, x := range list {
		if its(x) {
			out = append(out, x)
		}
	}
	return out
}
