package api

import (
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

func getOutbound(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.OutboundRuleset, error) {
		s, err := c.space(q)
		if err != nil {
			return view.OutboundRuleset{}, err
		}
		return view.OfOutboundRuleset(s.Space), nil
	}))
}

// outboundRule is a rule as clients write it.
type outboundRule struct {
	Target   string `json:"target"`
	Protocol string `json:"protocol"`
	FromPort int    `json:"from_port"`
	ToPort   int    `json:"to_port"`
}

func outboundRefs(in []outboundRule) (out []document.OutboundRef) {
	for _, r := range in {
		out = append(out, document.OutboundRef{Target: r.Target, Protocol: r.Protocol, FromPort: r.FromPort, ToPort: r.ToPort})
	}
	return out
}

// putOutbound replaces the rules.
func putOutbound(c *call) (Answer, error) {
	var in struct {
		ID      string         `json:"id"`
		Rules   []outboundRule `json:"rules"`
		Confirm string         `json:"confirm"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Rules == nil {
		return Answer{}, fault.New(fault.Invalid, "rules is missing.")
	}
	if in.ID != "" {
		if err := c.expectRuleset(in.ID, func(s *document.Space) string { return s.OutboundSet }); err != nil {
			return Answer{}, err
		}
	}
	a, err := c.setOutbound(&spaces.SetOutbound{Replace: true, Add: outboundRefs(in.Rules), Confirm: in.Confirm})
	return created(a.Body, err)
}

// patchOutbound changes the mode, and adds and removes rules.
func patchOutbound(c *call) (Answer, error) {
	var in struct {
		Mode    string         `json:"mode"`
		Add     []outboundRule `json:"add"`
		Remove  []outboundRule `json:"remove"`
		Confirm string         `json:"confirm"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if in.Mode == "" && len(in.Add) == 0 && len(in.Remove) == 0 {
		return Answer{}, fault.New(fault.Invalid, "Nothing to change: send mode, add or remove.")
	}
	return c.setOutbound(&spaces.SetOutbound{Mode: in.Mode, Add: outboundRefs(in.Add), Remove: outboundRefs(in.Remove), Confirm: in.Confirm})
}

func (c *call) setOutbound(cmd *spaces.SetOutbound) (_ Answer, err error) {
	cmd.Identity = c.path("space")
	if c.cfg.Network != nil {
		if cmd.Host, err = c.cfg.Network.HostAddresses(); err != nil {
			return Answer{}, err
		}
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfOutboundRuleset(cmd.Space), nil)
}

func listRefusals(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]query.RefusedAttempt, error) {
		s, err := c.space(q)
		if err != nil {
			return nil, err
		}
		return q.Refusals(s)
	}, func(_ *query.Reader, r query.RefusedAttempt) (view.Refusal, error) {
		return view.OfRefusal(r.Refusal, r.App), nil
	},
		property[view.Refusal]{name: "id", text: func(r view.Refusal) string { return r.ID }})
}
