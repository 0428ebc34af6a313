package client

import (
	"context"
	"net/http"
	"time"
)

// Outbound is what may leave a space.
type Outbound struct {
	ID    string         `json:"id"`
	Mode  string         `json:"mode"` // none, registries or open
	Rules []OutboundRule `json:"rules"`
}

// OutboundRule lets connections out to a network, or to where a name leads.
type OutboundRule struct {
	Target    string    `json:"target"` // 203.0.113.0/24, api.example.org, *.example.org, or * for every name
	Protocol  string    `json:"protocol"`
	FromPort  int       `json:"from_port"`
	ToPort    int       `json:"to_port"`
	Reason    string    `json:"reason,omitempty"`
	CreatedBy string    `json:"created_by,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	Mode      string    `json:"mode,omitempty"` // which brought it
}

// OutboundChange is what is to become of a space's outbound rules. Confirm is
// the name of a shield space that is to be opened wide.
type OutboundChange struct {
	Mode    string         `json:"mode,omitempty"`
	Add     []OutboundRule `json:"add,omitempty"`
	Remove  []OutboundRule `json:"remove,omitempty"`
	Confirm string         `json:"confirm,omitempty"`
}

// Outbound tells what may leave a space.
func (c *Client) Outbound(ctx context.Context, space string) (Outbound, error) {
	var out Outbound
	return out, c.Do(ctx, http.MethodGet, Path("spaces", space, "outbound-ruleset"), nil, &out)
}

// ChangeOutbound changes it, and tells what it is then.
func (c *Client) ChangeOutbound(ctx context.Context, space string, change OutboundChange) (Outbound, error) {
	var out Outbound
	return out, c.Do(ctx, http.MethodPatch, Path("spaces", space, "outbound-ruleset"), change, &out)
}

// Refusal is what an app tried to reach outside of its space, and may not.
type Refusal struct {
	ID  string `json:"id"`
	App *struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"app"` // null: the platform's own, or gone
	Dyno      *string   `json:"dyno"`
	To        string    `json:"to"`       // an address or a name
	Protocol  string    `json:"protocol"` // tcp or udp; of a name dns or rebind
	Port      int       `json:"port"`
	Packets   int64     `json:"packets"` // or questions, as of UpdatedAt
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Refusals lists what apps of a space tried to reach outside and may not.
func (c *Client) Refusals(ctx context.Context, space string) ([]Refusal, error) {
	return List[Refusal](ctx, c, Path("spaces", space, "outbound-refusals"))
}
