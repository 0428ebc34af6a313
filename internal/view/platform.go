package view

// Region is where apps run (Heroku: region). There is one: here.
type Region struct {
	Country        string   `json:"country"`
	CreatedAt      Time     `json:"created_at"`
	Description    string   `json:"description"`
	ID             string   `json:"id"`
	Locale         string   `json:"locale"`
	Name           string   `json:"name"`
	PrivateCapable bool     `json:"private_capable"`
	Provider       Provider `json:"provider"`
	UpdatedAt      Time     `json:"updated_at"`
}

// Provider is who runs a region's machines.
type Provider struct {
	Name   string `json:"name"`
	Region string `json:"region,omitempty"`
}

// Regions lists the one region.
func (s Site) Regions() []Region { return []Region{s.regionNamed(s.Region)} }

func (s Site) regionNamed(name string) Region {
	return Region{
		Country: "this installation", CreatedAt: Time(s.Since), Description: "This installation", ID: BuiltIn("region", name),
		Locale: "this installation", Name: name, PrivateCapable: true, Provider: Provider{Name: "strongroom"}, UpdatedAt: Time(s.Since),
	}
}

// Stack is an operating system that apps are built on (Heroku: stack).
type Stack struct {
	Default   bool   `json:"default"`
	CreatedAt Time   `json:"created_at"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	State     string `json:"state"`
	UpdatedAt Time   `json:"updated_at"`
}

// OfStack shows a stack.
func (s Site) OfStack(name string, isDefault bool) Stack {
	return Stack{isDefault, Time(s.Since), BuiltIn("stack", name), name, "public", Time(s.Since)}
}

// FeatureInfo is something that can be switched on.
type FeatureInfo struct {
	Name        string
	Human       string
	Description string
}

// Feature can be on or off (Heroku: app-feature, account-feature).
type Feature struct {
	CreatedAt     Time   `json:"created_at"`
	Description   string `json:"description"`
	DocURL        string `json:"doc_url"`
	Enabled       bool   `json:"enabled"`
	ID            string `json:"id"`
	Name          string `json:"name"`
	State         string `json:"state"`
	UpdatedAt     Time   `json:"updated_at"`
	DisplayName   string `json:"display_name"`
	FeedbackEmail string `json:"feedback_email"`
}

// OfFeature shows a feature. kind is "app" or "account".
func (s Site) OfFeature(kind string, f FeatureInfo, enabled bool) Feature {
	return Feature{
		CreatedAt: Time(s.Since), Description: f.Description, Enabled: enabled, ID: BuiltIn(kind+"-feature", f.Name),
		Name: f.Name, State: "general", UpdatedAt: Time(s.Since), DisplayName: f.Human,
	}
}
