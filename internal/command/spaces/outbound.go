package spaces

import (
	"net/netip"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/store"
)

// SetOutbound changes what may leave a space.
type SetOutbound struct {
	Identity string
	Mode     string                 // none, registries or open; empty: as it is
	Replace  bool                   // the rules become those to be added, and no others
	Add      []document.OutboundRef // target (a network or a name), protocol and ports
	Remove   []document.OutboundRef
	Confirm  string          // the space's name: to open a shield space wide
	Host     []netip.Addr    // addresses of the host, which are not to be opened
	Space    *document.Space // the result

	add, remove []document.OutboundRef // as they are kept
	ofMode      []document.OutboundRef
}

// Action is space.outbound.
func (*SetOutbound) Action() string { return "space.outbound" }

// Aim checks the form of the rules.
func (c *SetOutbound) Aim(v store.View) (_ control.Aim, err error) {
	if len(c.Add) > document.MaxOutbound || len(c.Remove) > document.MaxOutbound {
		return control.Aim{}, tooMany(max(len(c.Add), len(c.Remove)))
	}
	if c.ofMode, err = document.OutboundRules(c.Mode); err != nil {
		return control.Aim{}, err
	}
	if c.add, err = cleanRules(c.Add); err != nil {
		return control.Aim{}, err
	}
	if c.remove, err = cleanRules(c.Remove); err != nil {
		return control.Aim{}, err
	}
	for _, r := range c.add {
		if err := besideHost(r, c.Host); err != nil {
			return control.Aim{}, err
		}
	}
	if c.Space, err = Find(v, c.Identity); err != nil {
		return control.Aim{}, err
	}
	return Manage(c.Space), nil
}

func tooMany(n int) error {
	return fault.New(fault.Invalid, "A space has at most %d outbound rules, and these would be %d. Name larger networks, or ranges of ports.", document.MaxOutbound, n)
}

// cleanRules gives rules in their usual form, and refuses one that is named
// twice.
func cleanRules(in []document.OutboundRef) ([]document.OutboundRef, error) {
	type service struct {
		target, protocol string
		from, to         int
	}
	out, seen := []document.OutboundRef{}, map[service]bool{}
	for _, r := range in {
		r, err := document.CleanOutbound(r)
		if err != nil {
			return nil, err
		}
		s := service{r.Target, r.Protocol, r.FromPort, r.ToPort}
		if seen[s] {
			return nil, fault.New(fault.Invalid, "The outbound rule %s is named twice.", r)
		}
		seen[s] = true
		out = append(out, r)
	}
	return out, nil
}

// besideHost refuses a network that the host itself is in: the rule would say
// more than what it opens.
func besideHost(r document.OutboundRef, host []netip.Addr) error {
	p, err := netip.ParsePrefix(r.Target)
	if err != nil || r.Wide() { // a name: the engine sees where it leads
		return nil
	}
	for _, a := range host {
		if p.Contains(a) {
			return fault.New(fault.Invalid, "%s holds this host's own address %s, and nothing leaves a space for the host. Name only networks beside it.", p, a)
		}
	}
	return nil
}

// Decide refuses what is there already or is not there, and to open a shield
// space wide by accident.
func (c *SetOutbound) Decide(_ store.View, by control.By, now time.Time, d *control.Decision) error {
	rules, err := c.kept()
	if err != nil {
		return err
	}
	for _, r := range slices.Concat(c.add, c.ofMode) {
		if slices.ContainsFunc(rules, r.Same) {
			if r.Mode == "" {
				return fault.New(fault.Conflict, "There is the outbound rule %s already.", r)
			}
			continue
		}
		if at := slices.IndexFunc(c.Space.Outbound, r.Same); at >= 0 {
			have := c.Space.Outbound[at] // who made it, and why, stays
			if c.Mode != "" {
				have.Mode = r.Mode
			}
			rules = append(rules, have)
			continue
		}
		if c.Space.Shield && r.Wide() && (by.Reason == "" || c.Confirm != c.Space.Name) {
			return fault.New(fault.Invalid, "%s opens a shield space to the whole world or much of it: give a reason, which is recorded, and confirm with the name of the space (--reason, --confirm %s).", r, c.Space.Name)
		}
		r.Reason, r.By, r.At = by.Reason, by.Actor.Email, now
		rules = append(rules, r)
	}
	if len(rules) > document.MaxOutbound {
		return tooMany(len(rules))
	}
	c.Space.Outbound, c.Space.OutboundSet = rules, document.NewID()
	c.Space.OutboundBy, c.Space.OutboundAt = by.Actor.Email, now
	d.Put(c.Space)
	return nil
}

// kept are the rules that stay.
func (c *SetOutbound) kept() ([]document.OutboundRef, error) {
	out := []document.OutboundRef{}
	if !c.Replace {
		out = slices.Clone(c.Space.Outbound)
	}
	for _, r := range c.remove {
		at := slices.IndexFunc(out, r.Same)
		if at < 0 {
			return nil, fault.New(fault.NotFound, "There is no outbound rule %s.", r)
		}
		out = slices.Delete(out, at, at+1)
	}
	if c.Mode != "" {
		out = slices.DeleteFunc(out, document.OutboundRef.OfMode)
	}
	return out, nil
}
