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

// drawPHI places who and what is outside in the first column, the apps in the
// second, and all places that hold something in the third: the databases, and
// below them what the apps leave behind elsewhere.
func (i *isolation) drawPHI() drawing {
	d := newDrawing("The places in the space that hold or may hold ePHI, and the ways that carry or may carry it")
	worst := carries(i.marks()...)
	list := []box{
		named(soft, "clients", i.Trusted(), "TLS"),
		named(soft, "people", "terminals: recorded", "tunnels: begin and end"),
		named(soft, "outside", i.leaves()...),
	}
	left := d.column(margin, len(list), func(n int) box { return list[n] })
	for n, b := range left {
		shut := len(i.Apps) == 0 || n == 0 && len(i.Doc.Trusted) == 0 || n == 2 && len(i.Doc.Outbound) == 0
		d.lead(b, leading(n, worst, shut), n == 2)
	}
	apps := d.column(appsX, len(i.Apps), func(n int) box {
		a := i.Apps[n]
		return named(markColour[mark(a.EPHI)], a.Name, count(dynos(a), "dyno"), "ePHI: "+mark(a.EPHI))
	})
	stores := d.column(addonsX, len(i.Addons)+len(i.leftBehind()), func(n int) box {
		if n < len(i.Addons) {
			a := i.Addons[n]
			return named(markColour[mark(a.EPHI)], a.Name, "encrypted volumes", "ePHI: "+mark(a.EPHI))
		}
		return i.leftBehind()[n-len(i.Addons)]
	})
	for n, a := range i.Apps {
		for _, at := range a.Attachments {
			if k := slices.IndexFunc(i.Addons, func(x *document.Addon) bool { return x.ID == at.Addon }); k >= 0 {
				d.join(apps[n], stores[k], markWays[carries(a.EPHI, i.Addons[k].EPHI)])
			}
		}
		d.join(apps[n], stores[len(i.Addons)], markWays[mayHold(mark(a.EPHI))])
		d.join(apps[n], stores[len(i.Addons)+1], markWays[mark(a.EPHI)])
	}
	d.enclose(i.Space)
	return d
}

// leading is the way between the space and what is outside of it: the clients,
// the people, and places that apps may connect to.
func leading(n int, worst string, shut bool) way {
	switch {
	case shut:
		return barred
	case n == 2:
		return markWays[mayHold(worst)]
	}
	return markWays[worst]
}

func (i *isolation) marks() (out []string) {
	for _, a := range i.Apps {
		out = append(out, a.EPHI)
	}
	for _, a := range i.Addons {
		out = append(out, a.EPHI)
	}
	return out
}

// leftBehind are the places of all apps together.
func (i *isolation) leftBehind() []box {
	if len(i.Apps) == 0 {
		return nil
	}
	var marks []string
	for _, a := range i.Apps {
		marks = append(marks, mark(a.EPHI))
	}
	logs, recordings := mayHold(carries(marks...)), carries(marks...)
	return []box{
		named(markColour[logs], "log lines", "NOT encrypted", "ePHI: "+logs),
		named(markColour[recordings], "recordings", "encrypted, a key each", "ePHI: "+recordings),
	}
}
