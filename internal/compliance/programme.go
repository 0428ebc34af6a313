package compliance

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
)

// What a control's status can be besides what checks say.
const (
	// StatusUnproven is a control that the platform does not prove yet. It
	// never passes; it fails if one of the checks that it has does.
	StatusUnproven = "unproven"
	// StatusReported is a control that reports show and a person judges.
	StatusReported = "reported"
)

// Programme is a catalogue with the checks that there are to prove it.
type Programme struct {
	*Catalogue
	Checks []*Check
}

// Join brings both together. A check that no control names is an error: nobody
// would know what its failure means. So is a control that names a check that is
// not there, or plans one that is.
func Join(c *Catalogue, list []*Check) (*Programme, error) {
	p := &Programme{c, list}
	for i, x := range list {
		if p.Check(x.ID) != list[i] {
			return nil, fmt.Errorf("there are two checks %s", x.ID)
		}
		if (x.State == nil) == (x.Try == nil) {
			return nil, fmt.Errorf("the check %s needs either State or Try", x.ID)
		}
		if len(p.naming(x)) == 0 {
			return nil, fmt.Errorf("no control names the check %s", x.ID)
		}
	}
	for _, x := range c.Controls {
		for _, id := range x.Proof.Checks {
			if p.Check(id) == nil {
				return nil, fmt.Errorf("control %s names the check %s, which does not exist", x.ID, id)
			}
		}
		for _, id := range x.Proof.Planned {
			if p.Check(id) != nil {
				return nil, fmt.Errorf("control %s plans the check %s, which exists", x.ID, id)
			}
		}
	}
	return p, nil
}

// Check gives a check by id, nil if there is none.
func (p *Programme) Check(id string) *Check {
	i := slices.IndexFunc(p.Checks, func(x *Check) bool { return x.ID == id })
	if i < 0 {
		return nil
	}
	return p.Checks[i]
}

// naming lists the controls that a check proves.
func (p *Programme) naming(x *Check) (out []*Control) {
	for _, c := range p.Controls {
		if slices.Contains(c.Proof.Checks, x.ID) {
			out = append(out, c)
		}
	}
	return out
}

// judge makes the status of a control from that of all its checks together.
func (c *Control) judge(checks string) string {
	switch {
	case checks == document.StatusFail:
		return checks
	case len(c.Proof.Planned) > 0, len(c.Proof.Checks)+len(c.Proof.Reports) == 0:
		return StatusUnproven
	case len(c.Proof.Checks) == 0:
		return StatusReported
	}
	return checks
}

// rank orders what checks say: of several, the one that outweighs the others
// stands for all.
var rank = []string{document.StatusNotApplicable, document.StatusPass, document.StatusUnknown, document.StatusFail}

func outweighing(a, b string) string { return rank[max(slices.Index(rank, a), slices.Index(rank, b))] }
