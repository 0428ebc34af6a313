package apps

import (
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// MaxQuantity of dynos of one process type.
const MaxQuantity = 100

// ScaleUpdate changes one process type.
type ScaleUpdate struct {
	Type     string
	Quantity *int
	Size     string // "" = as it is
}

// Scale changes how many dynos of which size run.
type Scale struct {
	Identity   string
	Updates    []ScaleUpdate
	Formations []*document.Formation // the result: those that were updated

	app *document.App
}

// Action is formation.scale.
func (*Scale) Action() string { return "formation.scale" }

// Aim is the app.
func (c *Scale) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Decide changes process types that a release has brought.
func (c *Scale) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if len(c.Updates) == 0 {
		return fault.New(fault.Invalid, "Nothing to scale.")
	}
	seen := map[string]bool{}
	for _, u := range c.Updates {
		if seen[u.Type] {
			return fault.New(fault.Invalid, "The process type %.63s is there twice.", u.Type)
		}
		seen[u.Type] = true
		f, err := formation(v, c.app, u.Type)
		if err != nil {
			return err
		}
		if u.Quantity != nil {
			if *u.Quantity < 0 || *u.Quantity > MaxQuantity {
				return fault.New(fault.Invalid, "The quantity of %s must be between 0 and %d.", u.Type, MaxQuantity)
			}
			f.Quantity = *u.Quantity
		}
		if u.Size != "" {
			size, err := document.SizeByName(u.Size)
			if err != nil {
				return err
			}
			f.Size = size.Name
		}
		d.Put(f)
		c.Formations = append(c.Formations, f)
	}
	return nil
}

func formation(v store.View, app *document.App, processType string) (*document.Formation, error) {
	list, err := store.Find[*document.Formation](v, "app+type", app.ID+"+"+processType)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.New(fault.NotFound, "Couldn't find that process type (%.63s).", processType)
	}
	return list[0], nil
}

// Restart replaces dynos: all of them, those of one type, or one.
type Restart struct {
	Identity string
	Type     string // "" = all types
	Dyno     string // web.1; wins over Type
	// Stop ends the dynos of a type, or one, where a restart would replace them
	// without a gap. Those of a formation are started again, one-offs are not.
	Stop bool

	app *document.App
}

// Action is dyno.restart or dyno.stop.
func (c *Restart) Action() string {
	if c.Stop {
		return "dyno.stop"
	}
	return "dyno.restart"
}

// Aim is the app.
func (c *Restart) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.AppOperate), nil
}

// Jobs that operation.Runner carries out.
const (
	JobStopInstance = "instance.stop" // ref: the dyno's id
	JobStopTask     = "task.stop"     // ref: the dyno's id
)

// Stopping is the state of a dyno that was asked to end.
const Stopping = "stopping"

// Decide asks the engine to stop one dyno, or gives formations a new revision,
// which replaces their dynos without a gap.
func (c *Restart) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	if c.Dyno != "" {
		return c.one(v, d)
	}
	if c.Stop {
		return c.ofType(v, d)
	}
	list, err := store.Find[*document.Formation](v, "app", c.app.ID)
	if err != nil {
		return err
	}
	found := false
	for _, f := range list {
		if c.Type == "" || f.Type == c.Type {
			found = true
			f.Restart++
			d.Put(f)
		}
	}
	if c.Type != "" && !found {
		return fault.New(fault.NotFound, "Couldn't find that process type (%.63s).", c.Type)
	}
	return nil
}

func (c *Restart) one(v store.View, d *control.Decision) error {
	list, err := store.Find[*document.Dyno](v, "app+name", c.app.ID+"+"+c.Dyno)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fault.New(fault.NotFound, "Couldn't find that dyno.")
	}
	end(list[0], d)
	return nil
}

// ofType ends the dynos of a type, one-offs among them.
func (c *Restart) ofType(v store.View, d *control.Decision) error {
	list, err := store.Find[*document.Dyno](v, "app", c.app.ID)
	if err != nil {
		return err
	}
	found := false
	for _, x := range list {
		if x.Type == c.Type {
			found = true
			end(x, d)
		}
	}
	if !found {
		return fault.New(fault.NotFound, "Couldn't find a dyno of that process type (%.63s).", c.Type)
	}
	return nil
}

// end asks the engine to stop a dyno.
func end(x *document.Dyno, d *control.Decision) {
	d.Note("dyno", x.Name)
	if x.Formation != "" {
		d.Job(JobStopInstance, x.ID)
		return
	}
	// On record, so that it is not started if it has not been yet.
	x.State = Stopping
	d.Put(x)
	d.Job(JobStopTask, x.ID)
}

// ObserveDynos records what the engine was seen to run for an app: the whole
// set of its formations' dynos.
type ObserveDynos struct {
	App   string // id
	Dynos []*document.Dyno

	app *document.App
}

// Action is dyno.observe.
func (*ObserveDynos) Action() string { return "dyno.observe" }

// Aim is the app.
func (c *ObserveDynos) Aim(v store.View) (control.Aim, error) {
	var err error
	if c.app, err = store.Get[*document.App](v, c.App); err != nil {
		return control.Aim{}, err
	}
	return Aim(c.app, authz.System), nil
}

// Decide writes only dynos that changed.
func (c *ObserveDynos) Decide(v store.View, _ control.By, _ time.Time, d *control.Decision) error {
	list, err := store.Find[*document.Dyno](v, "app", c.App)
	if err != nil {
		return err
	}
	old := map[string]*document.Dyno{}
	for _, x := range list {
		if x.Formation != "" {
			old[x.ID] = x
		}
	}
	for _, n := range c.Dynos {
		if o, ok := old[n.ID]; ok {
			delete(old, n.ID)
			if SameDyno(o, n) {
				continue
			}
			n.Base = o.Base
		}
		d.Put(n)
		d.Note(n.Name, n.State)
	}
	for _, o := range old {
		d.Delete(document.KindDyno, o.ID)
		d.Note(o.Name, "gone")
	}
	return nil
}

// SameDyno tells whether two observations of a dyno say the same.
func SameDyno(a, b *document.Dyno) bool {
	exit := func(d *document.Dyno) int {
		if d.ExitCode == nil {
			return -1
		}
		return *d.ExitCode
	}
	return a.State == b.State && a.Release == b.Release && a.Name == b.Name && a.Size == b.Size && exit(a) == exit(b)
}
