package addons

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

// Service is what an add-on can be of.
type Service struct {
	ID, Name, HumanName string
	Attachment          string // default attachment name
	Plans               []Plan
}

// Plan is a size of a service. The first of a service is its default.
type Plan struct {
	ID, Name, HumanName, Description string
	Bytes                            int64 // disk
	Memory                           int64
	CPUMillis                        int64
	Connections                      int
	Version                          string // of the service
}

// Services that the platform runs. Plans are named as Heroku names those of
// private spaces, which makes the CLI reach the database through a bastion key
// that is made for one person and one moment.
var Services = []Service{{
	ID: "0f3c1f0e-7a0b-4a6e-9a53-6f6f73746701", Name: "heroku-postgresql", HumanName: "Heroku Postgres", Attachment: "DATABASE",
	Plans: []Plan{
		{"0f3c1f0e-7a0b-4a6e-9a53-6f6f73746710", "private-0", "Private 0", "PostgreSQL 17, 1 GB memory, 2 GB encrypted disk", 2 << 30, 1 << 30, 1000, 100, "17"},
		{"0f3c1f0e-7a0b-4a6e-9a53-6f6f73746712", "private-2", "Private 2", "PostgreSQL 17, 4 GB memory, 64 GB encrypted disk", 64 << 30, 4 << 30, 2000, 400, "17"},
	},
}}

// FindPlan resolves "service" or "service:plan".
func FindPlan(name string) (Service, Plan, error) {
	service, plan, _ := strings.Cut(name, ":")
	for _, s := range Services {
		if s.Name != service && s.ID != service {
			continue
		}
		if plan == "" {
			return s, s.Plans[0], nil
		}
		for _, p := range s.Plans {
			if p.Name == plan || p.ID == plan {
				return s, p, nil
			}
		}
		return s, Plan{}, fault.New(fault.NotFound, "Couldn't find the plan %.60q. Plans of %s are: %s.", plan, s.Name, planNames(s))
	}
	return Service{}, Plan{}, fault.New(fault.NotFound, "Couldn't find the add-on service %.60q. Services are: heroku-postgresql.", service)
}

func planNames(s Service) string {
	var out []string
	for _, p := range s.Plans {
		out = append(out, p.Name)
	}
	return strings.Join(out, ", ")
}

// colours name further databases of an app, as Heroku does.
var colours = []string{"AMBER", "AQUA", "BLUE", "BRONZE", "CYAN", "GOLD", "GREEN", "IVORY", "JADE", "OLIVE", "PINK", "RED", "ROSE", "TEAL"}

// freeName gives an attachment name that the app does not use.
func freeName(s Service, used []*document.Attachment) string {
	taken := func(n string) bool {
		return slices.ContainsFunc(used, func(a *document.Attachment) bool { return a.Name == n })
	}
	if !taken(s.Attachment) {
		return s.Attachment
	}
	prefix := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")) + "_"
	for _, c := range colours {
		if !taken(prefix + c) {
			return prefix + c
		}
	}
	return prefix + "MORE"
}
