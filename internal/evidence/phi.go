package evidence

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/store"
)

// Kinds of places and ways.
const (
	phiStore = "store"
	phiLink  = "link"
)

// outsideOf is where outbound rules lead to.
const outsideOf = "outside of the space"

// phiPath is a store that can hold ePHI, or a link that can carry it.
type phiPath struct {
	Seq       int64 // of the entry that made it what it is
	Kind      string
	What      string
	EPHI      string // yes, no, unknown
	From, To  string
	Path      string
	Reach     string // who can get at it
	Recorded  string
	Encrypted string
}

// phiHead are the columns of phi-paths.csv.
var phiHead = []string{"seq", "kind", "what", "ephi", "from", "to", "path", "who can reach it", "how that is recorded", "how it is encrypted"}

func (x phiPath) row() []string {
	return []string{strconv.FormatInt(x.Seq, 10), x.Kind, x.What, x.EPHI, x.From, x.To, x.Path, x.Reach, x.Recorded, x.Encrypted}
}

// phiPaths is the report: all stores and links of a space, as they follow from
// what is on record. It shares the state that the report on isolation reads.
type phiPaths struct {
	About
	At      time.Time
	Paths   []phiPath
	Drawing drawing
}

// Head are the columns.
func (r *phiPaths) Head() []string { return phiHead }

// Shown are the paths that fit a page.
func (r *phiPaths) Shown() []phiPath { return r.Paths[:min(len(r.Paths), maxHTMLRows)] }

// Unknown counts those of which nobody said whether they carry ePHI.
func (r *phiPaths) Unknown() (n int) {
	for _, x := range r.Paths {
		if x.EPHI == document.EPHIUnknown {
			n++
		}
	}
	return n
}

// caption is what is said of the table.
func (r *phiPaths) caption() caption {
	return caption{
		"phi-paths", "Paths of ePHI", "Where ePHI is and by which paths it moves: who can reach it, how that is recorded, how it is encrypted.",
		"all stores and links of the space at " + day(r.At) + " that its documents give", false,
	}
}

// writePHI writes the report, and shows its rows to the items.
func (p *export) writePHI(w *pack.Writer, a About, i *isolation) error {
	r := &phiPaths{About: a, At: p.at.Time, Paths: i.PHI, Drawing: i.drawPHI()}
	var rows [][]string
	for _, x := range r.Paths {
		rows = append(rows, x.row())
	}
	if err := p.writeTable(w, a, r.caption(), phiHead, rows); err != nil {
		return err
	}
	if err := render(w, "reports/phi-paths.svg", "drawing", r.Drawing); err != nil {
		return err
	}
	return render(w, "reports/phi-paths.html", "phi-paths.html", r)
}

// phiReader finds the paths of a space in a state. A past state is slow to
// search, so it looks for each kind of document as seldom as it can.
type phiReader struct {
	view  store.View
	state *isolation
	out   []phiPath
	team  []someone
	apps  map[string][]someone // collaborators, by app
}

// someone holds roles in the team or permissions on an app.
type someone struct {
	email string
	holds []string
}

// readPHI finds what can hold and carry ePHI in a space. open are the sessions
// that are.
func readPHI(v store.View, i *isolation, open []openSession) ([]phiPath, error) {
	r := &phiReader{view: v, state: i, apps: map[string][]someone{}}
	if err := r.people(); err != nil {
		return nil, err
	}
	for _, a := range i.Apps {
		if err := r.app(a); err != nil {
			return nil, err
		}
	}
	for _, a := range i.Addons {
		if err := r.addon(a); err != nil {
			return nil, err
		}
	}
	r.sessions(open)
	err := r.outbound()
	return r.out, err
}

func (r *phiReader) people() error {
	members, err := store.Find[*document.Member](r.view, "team", r.state.Doc.Team)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := r.active(&r.team, m.Account, m.Email, m.Roles); err != nil {
			return err
		}
	}
	for _, a := range r.state.Apps {
		list, err := store.Find[*document.Collaborator](r.view, "app", a.ID)
		if err != nil {
			return err
		}
		var all []someone
		for _, c := range list {
			if err := r.active(&all, c.Account, c.Email, c.Permissions); err != nil {
				return err
			}
		}
		r.apps[a.ID] = all
	}
	return nil
}

// active adds somebody to a list, by address, unless they are suspended: then
// they can reach nothing.
func (r *phiReader) active(list *[]someone, account, email string, holds []string) error {
	d, err := r.view.Get(document.KindAccount, account)
	if err != nil {
		return err
	}
	if a, ok := d.(*document.Account); !ok || a.Suspended {
		return nil
	}
	at, _ := slices.BinarySearchFunc(*list, email, func(s someone, email string) int { return strings.Compare(s.email, email) })
	*list = slices.Insert(*list, at, someone{email, holds})
	return nil
}

// maxNamed is how many people a cell names.
const maxNamed = 20

// may names the people who have a permission on an app ("" = on the team), by
// the tables that decide it.
func (r *phiReader) may(need authz.Permission, app string) string {
	var names []string
	for _, m := range r.team {
		if authz.Gives(m.holds, need) {
			names = append(names, m.email+" ("+strings.Join(m.holds, ", ")+")")
		}
	}
	for _, c := range r.apps[app] {
		if authz.Collaborates(c.holds, need) {
			names = append(names, c.email+" (this app: "+strings.Join(c.holds, ", ")+")")
		}
	}
	switch n := len(names) - maxNamed; {
	case len(names) == 0:
		return "nobody"
	case n > 0:
		return strings.Join(names[:maxNamed], "; ") + "; and " + strconv.Itoa(n) + " more"
	}
	return strings.Join(names, "; ")
}

// add appends a path that follows from a document.
func (r *phiReader) add(d document.Doc, x phiPath) (err error) {
	_, x.Seq, err = r.view.Rev(d.Kind(), d.Ident())
	r.out = append(r.out, x)
	return err
}
