package state

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// ephiMarked: in a shield space everything says whether it holds ePHI.
var ephiMarked = &compliance.Check{
	ID: "state.ephi-marked", Title: "In shield spaces every app and database says whether it holds ePHI", Version: 1,
	Every: often, Reads: []string{"app.", "addon.", "space."},
	State: each(func(v store.View, _ time.Time, s *document.Space) (out []compliance.Result, err error) {
		apps, err := store.Find[*document.App](v, "space", s.ID)
		if err != nil {
			return nil, err
		}
		addons, err := store.Find[*document.Addon](v, "space", s.ID)
		for _, a := range apps {
			out = append(out, marked(s, "app", a.Name, a.EPHI).Of(s.ID, a.ID, a.Name))
		}
		for _, a := range addons {
			if a.State != document.AddonDeprovisioned {
				out = append(out, marked(s, "add-on", a.Name, a.EPHI).Of(s.ID, a.ID, a.Name))
			}
		}
		return out, err
	}),
}

func marked(s *document.Space, what, name, mark string) compliance.Result {
	switch {
	case mark == document.EPHIYes || mark == document.EPHINo:
		return compliance.Pass("The " + what + " " + name + " is marked: " + mark + ".")
	case s.Shield:
		return compliance.Fail("Nobody has said whether the " + what + " " + name + " in the shield space " + s.Name + " holds ePHI.")
	}
	return compliance.NotApplicable("The space " + s.Name + " is no shield space.")
}
