package view

import "github.com/strongroom/strongroom/internal/document"

// OutboundRuleset says what may leave a space. Heroku's API had it once, with
// rules of a target, a protocol and ports; mode, and who made a rule, when and
// why, are ours.
type OutboundRuleset struct {
	ID        string         `json:"id"`
	Space     Ref            `json:"space"`
	CreatedAt Time           `json:"created_at"`
	CreatedBy string         `json:"created_by"`
	Mode      string         `json:"mode"` // none: what single rules name; registries: packages besides; open: anything
	Rules     []OutboundRule `json:"rules"`
	Applied   bool           `json:"applied"`
}

// OutboundRule lets connections out to a network, or to where a name leads.
type OutboundRule struct {
	Target    string `json:"target"`
	Protocol  string `json:"protocol"`
	FromPort  int    `json:"from_port"`
	ToPort    int    `json:"to_port"`
	Reason    string `json:"reason"`
	CreatedBy string `json:"created_by"`
	CreatedAt Time   `json:"created_at"`
	Mode      string `json:"mode"` // which brought the rule; empty: it was added by itself
}

// OfOutboundRuleset shows the rules in force. Rules of before there were
// commands for them are those that the space was made with.
func OfOutboundRuleset(sp *document.Space) OutboundRuleset {
	out := OutboundRuleset{
		ID: sp.OutboundSet, Space: Ref{sp.ID, sp.Name}, CreatedAt: Time(sp.OutboundAt), CreatedBy: sp.OutboundBy,
		Mode: sp.OutboundMode(), Rules: []OutboundRule{}, Applied: sp.State == document.SpaceAllocated,
	}
	if sp.OutboundAt.IsZero() {
		out.CreatedAt = Time(sp.CreatedAt)
	}
	for _, r := range sp.Outbound {
		rule := OutboundRule{r.Target, r.Protocol, r.FromPort, r.ToPort, r.Reason, r.By, Time(r.At), r.Mode}
		if r.At.IsZero() {
			rule.CreatedAt = Time(sp.CreatedAt)
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

// Refusal is what an app tried to reach outside of its space, and may not.
type Refusal struct {
	ID        string  `json:"id"`
	App       *Ref    `json:"app"` // null: the platform's own, or gone
	Dyno      *string `json:"dyno"`
	To        string  `json:"to"`       // an address or a name
	Protocol  string  `json:"protocol"` // tcp or udp; of a name dns or rebind
	Port      int     `json:"port"`
	Packets   int64   `json:"packets"` // or questions, as of updated_at
	CreatedAt Time    `json:"created_at"`
	UpdatedAt Time    `json:"updated_at"`
}

// OfRefusal shows a refusal of the app, nil if that is gone.
func OfRefusal(r *document.Refusal, a *document.App) Refusal {
	out := Refusal{
		ID: r.ID, To: r.To, Protocol: r.Protocol, Port: r.Port, Packets: r.Count,
		CreatedAt: Time(r.CreatedAt), UpdatedAt: Time(r.UpdatedAt),
	}
	if a != nil {
		out.App = &Ref{a.ID, a.Name}
	}
	if r.Dyno != "" {
		out.Dyno = &r.Dyno
	}
	return out
}
