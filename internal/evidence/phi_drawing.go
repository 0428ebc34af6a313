package evidence

import (
	"slices"

	"github.com/strongroom/strongroom/internal/document"
)

// How a link or a box is drawn, by its mark.
var (
	markWays   = map[string]way{document.EPHIYes: laden, document.EPHIUnknown: doubtful, document.EPHINo: link}
	markColour = map[string]string{document.EPHIYes: purple, document.EPHIUnknown: amber, document.EPHINo: soft}
)

// drawPHI places who and what is outside of the space in the first column, the
// apps in the second and the databases in the third.
func (i *isolation) drawPHI() drawing {
	d := newDrawing("The places that hold or may hold ePHI, and the ways that carry or may carry it")
	i.around(&d)
	apps := d.column(appsX, len(i.Apps), func(n int) box {
		a := i.Apps[n]
		return named(markColour[mark(a.EPHI)], a.Name, count(dynos(a), "dyno"), "ePHI: "+mark(a.EPHI))
	})
	databases := d.column(addonsX, len(i.Addons), func(n int) box {
		a := i.Addons[n]
		return named(markColour[mark(a.EPHI)], a.Name, "encrypted volumes", "ePHI: "+mark(a.EPHI))
	})
	for n, a := range i.Apps {
		for _, at := range a.Attachments {
			if k := slices.IndexFunc(i.Addons, func(x *document.Addon) bool { return x.ID == at.Addon }); k >= 0 {
				d.join(apps[n], databases[k], markWays[carries(a.EPHI, i.Addons[k].EPHI)])
			}
		}
	}
	d.enclose(i.Space)
	return d
}

// outer is something outside of the space.
type outer struct {
	box  box
	mark string
	shut bool // nothing passes
	out  bool // from the space
}

// around draws what is outside: who comes in, and where things go.
func (i *isolation) around(d *drawing) {
	var apps []string
	for _, a := range i.Apps {
		apps = append(apps, a.EPHI)
	}
	all := apps
	for _, a := range i.Addons {
		all = append(all, a.EPHI)
	}
	its, none := carries(apps...), len(i.Apps) == 0
	logs := mayHold(its)
	list := []outer{
		{named(soft, "clients", i.Trusted(), "TLS"), its, none || len(i.Doc.Trusted) == 0, false},
		{named(soft, "people", "terminals: recorded", "tunnels: begin and end"), carries(all...), none, false},
		{named(soft, "outside", i.leaves()...), logs, none || len(i.Doc.Outbound) == 0, true},
		{named(markColour[logs], "log lines", "on the host, NOT encrypted", "ePHI: "+logs), logs, none, true},
		{named(markColour[its], "recordings", "on the host, encrypted", "ePHI: "+its), its, none, true},
	}
	for n, b := range d.column(margin, len(list), func(n int) box { return list[n].box }) {
		w := markWays[list[n].mark]
		if list[n].shut {
			w = barred
		}
		d.lead(b, w, list[n].out)
	}
}
