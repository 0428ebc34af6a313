package view

import (
	"github.com/strongroom/strongroom/internal/document"
)

// PlanInfo is a plan as the catalogue of services has it.
type PlanInfo struct {
	Service     string // heroku-postgresql
	Name        string // heroku-postgresql:standard-0
	Human       string
	Description string
	Default     bool
}

// ServiceInfo is a managed service.
type ServiceInfo struct {
	Name  string
	Human string
}

// Price is nothing here: who runs the platform pays for the machines.
type Price struct {
	Cents    int    `json:"cents"`
	Contract bool   `json:"contract"`
	Unit     string `json:"unit"`
}

func free() Price { return Price{Unit: "month"} }

// Plan is a plan of a service (Heroku: plan).
type Plan struct {
	AddonService       Ref      `json:"addon_service"`
	CreatedAt          Time     `json:"created_at"`
	Compliance         []string `json:"compliance"`
	Default            bool     `json:"default"`
	Description        string   `json:"description"`
	HumanName          string   `json:"human_name"`
	ID                 string   `json:"id"`
	InstallableInside  bool     `json:"installable_inside_private_network"`
	InstallableOutside bool     `json:"installable_outside_private_network"`
	Name               string   `json:"name"`
	Price              Price    `json:"price"`
	SpaceDefault       bool     `json:"space_default"`
	State              string   `json:"state"`
	UpdatedAt          Time     `json:"updated_at"`
	Visible            bool     `json:"visible"`
}

// OfPlan shows a plan.
func (s Site) OfPlan(p PlanInfo) Plan {
	return Plan{
		AddonService: builtIn("addon-service", p.Service), CreatedAt: Time(s.Since), Compliance: []string{"HIPAA"},
		Default: p.Default, Description: p.Description, HumanName: p.Human, ID: BuiltIn("plan", p.Name),
		InstallableInside: true, Name: p.Name, Price: free(), SpaceDefault: p.Default, State: "ga",
		UpdatedAt: Time(s.Since), Visible: true,
	}
}

// Service is a managed service (Heroku: add-on-service).
type Service struct {
	CLIPluginName         *string `json:"cli_plugin_name"`
	CreatedAt             Time    `json:"created_at"`
	HumanName             string  `json:"human_name"`
	ID                    string  `json:"id"`
	Name                  string  `json:"name"`
	State                 string  `json:"state"`
	MultipleInstallations bool    `json:"supports_multiple_installations"`
	Sharing               bool    `json:"supports_sharing"`
	UpdatedAt             Time    `json:"updated_at"`
	SupportedGenerations  []Ref   `json:"supported_generations"`
}

// OfService shows a service.
func (s Site) OfService(i ServiceInfo) Service {
	return Service{
		CreatedAt: Time(s.Since), HumanName: i.Human, ID: BuiltIn("addon-service", i.Name), Name: i.Name, State: "ga",
		MultipleInstallations: true, Sharing: true, UpdatedAt: Time(s.Since), SupportedGenerations: []Ref{generation()},
	}
}

// AddonContext is what an add-on refers to.
type AddonContext struct {
	App         *document.App
	Team        *document.Team
	Plan        PlanInfo
	Service     ServiceInfo
	Attachments []*document.Attachment
	ConfigVars  []string // names that it sets in its own app
}

// Addon is a managed service of an app (Heroku: add-on).
type Addon struct {
	Actions      []struct{} `json:"actions"`
	AddonService any        `json:"addon_service"` // Ref, or Service where expanded
	Billing      struct {
		Ref
		Type string `json:"type"`
	} `json:"billing_entity"`
	App              Ref      `json:"app"`
	BilledPrice      *Price   `json:"billed_price"`
	ConfigVars       []string `json:"config_vars"`
	CreatedAt        Time     `json:"created_at"`
	ID               string   `json:"id"`
	Name             string   `json:"name"`
	Plan             any      `json:"plan"` // Ref, or Plan where expanded
	ProviderID       string   `json:"provider_id"`
	ProvisionMessage *string  `json:"provision_message,omitempty"`
	State            string   `json:"state"`
	UpdatedAt        Time     `json:"updated_at"`
	WebURL           *string  `json:"web_url"`
	Strongroom       Marks    `json:"strongroom"`
}

// OfAddon shows an add-on. expand may name "plan" and "addon_service".
func (s Site) OfAddon(a *document.Addon, c AddonContext, expand Expand) Addon {
	price := free()
	out := Addon{
		Actions: []struct{}{}, AddonService: builtIn("addon-service", a.Service), App: Ref{c.App.ID, c.App.Name},
		BilledPrice: &price, ConfigVars: append([]string{}, c.ConfigVars...), CreatedAt: Time(a.CreatedAt), ID: a.ID,
		Name: a.Name, Plan: builtIn("plan", c.Plan.Name), ProviderID: a.ID, ProvisionMessage: text(a.Message),
		// The schema does not know "deprovisioning"; the CLI does, and waits.
		State: a.State, UpdatedAt: Time(a.UpdatedAt), Strongroom: Marks{a.EPHI},
	}
	out.Billing.Ref, out.Billing.Type = Ref{c.App.ID, c.App.Name}, "app"
	if c.Team != nil {
		out.Billing.Ref, out.Billing.Type = Ref{c.Team.ID, c.Team.Name}, "team"
	}
	if expand.Has("plan") {
		out.Plan = s.OfPlan(c.Plan)
	}
	if expand.Has("addon_service") {
		out.AddonService = s.OfService(c.Service)
	}
	return out
}

// Attachment gives an app access to an add-on (Heroku: add-on-attachment).
// ConfigVars is there where Accept-Inclusion asked for it.
type Attachment struct {
	Addon       AttachedAddon `json:"addon"`
	App         Ref           `json:"app"`
	CreatedAt   Time          `json:"created_at"`
	ID          string        `json:"id"`
	Name        string        `json:"name"`
	Namespace   *string       `json:"namespace"`
	UpdatedAt   Time          `json:"updated_at"`
	WebURL      *string       `json:"web_url"`
	LogInputURL *string       `json:"log_input_url"`
	ConfigVars  []string      `json:"config_vars,omitempty"`
}

// AttachedAddon is the add-on of an attachment. Plan is there where
// Accept-Inclusion asked for it.
type AttachedAddon struct {
	Ref
	App  Ref `json:"app"`
	Plan any `json:"plan,omitempty"`
}

// AttachmentContext is what an attachment refers to.
type AttachmentContext struct {
	App      *document.App // that the add-on is attached to
	Addon    *document.Addon
	AddonApp *document.App // that owns the add-on
	Plan     PlanInfo
	// ConfigVars are the names that the attachment sets.
	ConfigVars []string
}

// OfAttachment shows an attachment. include may name "addon:plan" and
// "config_vars".
func (s Site) OfAttachment(at *document.Attachment, c AttachmentContext, include Expand) Attachment {
	out := Attachment{
		Addon: AttachedAddon{Ref: Ref{c.Addon.ID, c.Addon.Name}, App: Ref{c.AddonApp.ID, c.AddonApp.Name}},
		App:   Ref{c.App.ID, c.App.Name}, CreatedAt: Time(at.CreatedAt), ID: at.ID, Name: at.Name,
		Namespace: Namespace(at.Credential), UpdatedAt: Time(at.UpdatedAt),
	}
	if include.Has("addon:plan") {
		out.Addon.Plan = s.OfPlan(c.Plan)
	}
	if include.Has("config_vars") {
		out.ConfigVars = append([]string{}, c.ConfigVars...)
	}
	return out
}

// Namespace is how Heroku writes which credential an attachment uses.
func Namespace(credential string) *string {
	if credential == "" || credential == "default" {
		return nil
	}
	return text("credential:" + credential)
}

// AddonConfig is one setting of an add-on (Heroku: add-on-config).
type AddonConfig struct {
	Name  string  `json:"name"`
	Value *string `json:"value"`
}
