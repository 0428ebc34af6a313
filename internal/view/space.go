package view

import (
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/document"
)

// Space is an isolated network (Heroku: space).
type Space struct {
	CreatedAt    Time   `json:"created_at"`
	ID           string `json:"id"`
	Name         string `json:"name"`
	Organization named  `json:"organization"`
	Team         Ref    `json:"team"`
	Region       any    `json:"region"` // Ref, or Region where it was asked to be expanded
	Shield       bool   `json:"shield"`
	State        string `json:"state"`
	UpdatedAt    Time   `json:"updated_at"`
	CIDR         string `json:"cidr"`
	DataCIDR     string `json:"data_cidr"`
	Generation   Ref    `json:"generation"`
}

type named struct {
	Name string `json:"name"`
}

// Networks that a space's dynos and databases have as they see it. They are the
// same in every space: no route leads from one space to another.
const (
	spaceCIDR = "10.0.0.0/16"
	dataCIDR  = "10.1.0.0/16"
)

// OfSpace shows a space of the team. expand names members to show in full.
func (s Site) OfSpace(sp *document.Space, t *document.Team, expand Expand) Space {
	out := Space{
		CreatedAt: Time(sp.CreatedAt), ID: sp.ID, Name: sp.Name, Organization: named{t.Name}, Team: Ref{t.ID, t.Name},
		Region: builtIn("region", sp.Region), Shield: sp.Shield, State: sp.State, UpdatedAt: Time(sp.UpdatedAt),
		CIDR: spaceCIDR, DataCIDR: dataCIDR, Generation: generation(),
	}
	if expand.Has("region") {
		out.Region = s.regionNamed(sp.Region)
	}
	return out
}

// NAT is where a space's connections outward come from (Heroku: space-nat).
type NAT struct {
	CreatedAt Time     `json:"created_at"`
	Sources   []string `json:"sources"`
	State     string   `json:"state"`
	UpdatedAt Time     `json:"updated_at"`
}

// OfNAT shows the addresses that the engine gave the space.
func OfNAT(sp *document.Space, sources []string) NAT {
	state := "enabled"
	switch {
	case sp.State != document.SpaceAllocated:
		state = "updating"
	case len(sources) == 0:
		state, sources = "disabled", []string{}
	}
	if sources == nil {
		sources = []string{}
	}
	return NAT{Time(sp.CreatedAt), sources, state, Time(sp.UpdatedAt)}
}

// InboundRuleset says who may connect to a space (Heroku: inbound-ruleset).
type InboundRuleset struct {
	ID        string        `json:"id"`
	Space     Ref           `json:"space"`
	CreatedAt Time          `json:"created_at"`
	Rules     []InboundRule `json:"rules"`
	CreatedBy string        `json:"created_by"`
	// Applied is what the CLI reads though the schema does not know it.
	Applied bool `json:"applied"`
}

// InboundRule lets a network in.
type InboundRule struct {
	Action string `json:"action"`
	Source string `json:"source"`
}

// OfInboundRuleset shows the ruleset in force.
func OfInboundRuleset(sp *document.Space) InboundRuleset {
	rules := []InboundRule{}
	for _, r := range sp.Trusted {
		rules = append(rules, InboundRule{r.Action, r.Source})
	}
	at := sp.RuledAt
	if at.IsZero() {
		at = sp.CreatedAt
	}
	return InboundRuleset{
		ID: sp.Ruleset, Space: Ref{sp.ID, sp.Name}, CreatedAt: Time(at), Rules: rules,
		CreatedBy: sp.RuledBy, Applied: sp.State == document.SpaceAllocated,
	}
}

// SpaceDynos are the dynos of one app of a space (not in Heroku's schema;
// `heroku spaces:ps` reads it).
type SpaceDynos struct {
	AppID   string `json:"app_id"`
	AppName string `json:"app_name"`
	Dynos   []Dyno `json:"dynos"`
}

// Topology is what a space holds (Heroku: space-topology).
type Topology struct {
	Version int           `json:"version"`
	Apps    []TopologyApp `json:"apps"`
}

// TopologyApp is one app of a topology. Formations repeats Formation under the
// name that the CLI reads.
type TopologyApp struct {
	ID         string              `json:"id"`
	Domains    []string            `json:"domains"`
	Formation  []TopologyFormation `json:"formation"`
	Formations []TopologyFormation `json:"formations"`
}

// TopologyFormation is one process type of a topology.
type TopologyFormation struct {
	ID          string         `json:"id"`
	ProcessType string         `json:"process_type"`
	Dynos       []TopologyDyno `json:"dynos"`
}

// TopologyDyno is one dyno of a topology.
type TopologyDyno struct {
	ID        string `json:"id"`
	Number    int    `json:"number"`
	PrivateIP string `json:"private_ip"`
	Hostname  string `json:"hostname"`
}

// OfTopologyApp shows one app of a topology.
func OfTopologyApp(a *document.App, formations []*document.Formation, dynos []*document.Dyno, domains []string) TopologyApp {
	out := TopologyApp{ID: a.ID, Domains: append([]string{}, domains...), Formation: []TopologyFormation{}}
	for _, f := range formations {
		x := TopologyFormation{ID: f.ID, ProcessType: f.Type, Dynos: []TopologyDyno{}}
		for _, d := range dynos {
			if d.Formation == f.ID {
				x.Dynos = append(x.Dynos, TopologyDyno{ID: d.ID, Number: ordinal(d.Name)})
			}
		}
		out.Formation = append(out.Formation, x)
	}
	out.Formations = out.Formation
	return out
}

// ordinal is the 2 of web.2.
func ordinal(dyno string) int {
	_, n, _ := strings.Cut(dyno, ".")
	i, _ := strconv.Atoi(n)
	return i
}
