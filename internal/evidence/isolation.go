package evidence

import (
	"fmt"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// isolation is what the isolation report shows: the space as it was at the end
// of the period, and what was tried against it.
type isolation struct {
	About
	Doc      *document.Space
	Apps     []isolatedApp
	Addons   []*document.Addon
	Attempts []*document.Attempt
	Drawing  drawing
}

type isolatedApp struct {
	*document.App
	Formations []*document.Formation
	Domains    []*document.Domain
	Addons     []string // names of what is attached
}

// drawing is the picture's measure; its parts are drawn by the template.
type drawing struct {
	Width, Height int
	Apps          []box
	Addons        []box
	Lines         []line
}

type box struct {
	X, Y, W, H  int
	Title, Note string
}

// Wall is the height of the space's own frame.
func (d drawing) Wall() int { return d.Height - 36 }

// Trusted says how many networks may connect.
func (i *isolation) Trusted() string { return count(len(i.Doc.Trusted), "trusted network") }

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

type line struct{ X1, Y1, X2, Y2 int }

// isolation reads the state at the end of the period.
func (p *export) isolation(a About) (*isolation, error) {
	out := &isolation{About: a}
	err := p.cfg.Store.At(p.ctx, p.last, func(v store.View) (err error) {
		d, err := v.Get(document.KindSpace, p.pack.Scope)
		if err != nil {
			return err
		}
		if s, ok := d.(*document.Space); ok {
			out.Doc = s
		} else {
			// It began after the period, or ended in it: as it last was.
			out.Doc = p.space
		}
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
		return out.readApps(v, apps)
	})
	out.draw()
	return out, err
}

func (i *isolation) readApps(v store.View, apps []*document.App) error {
	names := map[string]string{}
	for _, a := range i.Addons {
		names[a.ID] = a.Name
	}
	for _, a := range apps {
		x := isolatedApp{App: a}
		var err error
		if x.Formations, err = store.Find[*document.Formation](v, "app", a.ID); err != nil {
			return err
		}
		if x.Domains, err = store.Find[*document.Domain](v, "app", a.ID); err != nil {
			return err
		}
		list, err := store.Find[*document.Attachment](v, "app", a.ID)
		if err != nil {
			return err
		}
		for _, at := range list {
			x.Addons = append(x.Addons, names[at.Addon])
		}
		i.Apps = append(i.Apps, x)
	}
	return nil
}

// Measures of the picture, in its own units.
const (
	boxWidth  = 210
	boxHeight = 56
	boxGap    = 18
	appsX     = 300
	addonsX   = 600
	topY      = 70
)

// draw places the apps in one column and the add-ons in the next, with a line
// for each attachment.
func (i *isolation) draw() {
	d := &i.Drawing
	addon := map[string]box{}
	for n, a := range i.Addons {
		b := box{addonsX, topY + n*(boxHeight+boxGap), boxWidth, boxHeight, a.Name, "encrypted volume, ePHI: " + a.EPHI}
		addon[a.Name] = b
		d.Addons = append(d.Addons, b)
	}
	for n, a := range i.Apps {
		dynos := 0
		for _, f := range a.Formations {
			dynos += f.Quantity
		}
		b := box{appsX, topY + n*(boxHeight+boxGap), boxWidth, boxHeight, a.Name, count(dynos, "dyno") + ", ePHI: " + a.EPHI}
		d.Apps = append(d.Apps, b)
		for _, name := range a.Addons {
			to := addon[name]
			d.Lines = append(d.Lines, line{b.X + b.W, b.Y + b.H/2, to.X, to.Y + to.H/2})
		}
	}
	rows := max(len(i.Apps), len(i.Addons), 1)
	d.Width, d.Height = addonsX+boxWidth+60, topY+rows*(boxHeight+boxGap)+20
}
