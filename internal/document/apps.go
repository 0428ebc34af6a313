package document

import (
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// Kinds of what a team runs.
const (
	KindSpace         Kind = "space"
	KindRefusal       Kind = "refusal"
	KindApp           Kind = "app"
	KindCollaborator  Kind = "collaborator"
	KindConfig        Kind = "config"
	KindBuild         Kind = "build"
	KindSlug          Kind = "slug"
	KindRelease       Kind = "release"
	KindFormation     Kind = "formation"
	KindDyno          Kind = "dyno"
	KindDomain        Kind = "domain"
	KindEndpoint      Kind = "endpoint"
	KindBuildpackList Kind = "buildpacks"
)

// Space states.
const (
	SpaceAllocating = "allocating"
	SpaceAllocated  = "allocated"
	SpaceDeleting   = "deleting"
)

// Versions of TLS that can be asked for at least. Older ones are never spoken.
const (
	TLS12 = "1.2"
	TLS13 = "1.3"
)

// CleanTLS checks the least version of TLS, if there is one, and gives it as
// documents have it, in which the default is empty.
func CleanTLS(version *string) (*string, error) {
	if version == nil {
		return nil, nil
	}
	switch *version {
	case "", TLS12:
		return new(string), nil
	case TLS13:
		return version, nil
	}
	return nil, fault.New(fault.Invalid, "The least version of TLS is %s or %s, not %.32q.", TLS12, TLS13, *version)
}

// Space is an isolated network with its own router and keys. Its id is a scope.
type Space struct {
	Base
	Team        string        `json:"team"`
	Name        string        `json:"name"` // unique
	Shield      bool          `json:"shield"`
	Region      string        `json:"region"`
	State       string        `json:"state"`
	Trusted     []TrustedIP   `json:"trusted"` // who may connect to the router
	Ruleset     string        `json:"ruleset"` // id of the inbound ruleset in force
	RuledBy     string        `json:"ruled_by"`
	RuledAt     time.Time     `json:"ruled_at"`
	Outbound    []OutboundRef `json:"outbound"`     // what may leave
	OutboundSet string        `json:"outbound_set"` // id of those rules
	OutboundBy  string        `json:"outbound_by"`  // who changed them last
	OutboundAt  time.Time     `json:"outbound_at"`
	// Linked apps reach each other only where a link says so; else all do.
	Linked    bool      `json:"linked"`
	Links     []AppLink `json:"links"`
	MinTLS    string    `json:"min_tls"` // the least version for all domains: "1.3", or "" for 1.2
	NoHSTS    bool      `json:"no_hsts"` // answers do not carry Strict-Transport-Security
	CA        string    `json:"ca"`      // PEM of the space's certificate authority
	CAKey     *Sealed   `json:"ca_key"`  // its private key
	CreatedBy string    `json:"created_by"`
}

// TrustedIP is an inbound rule.
type TrustedIP struct {
	Source string `json:"source"` // CIDR
	Action string `json:"action"` // "allow"
}

// AppLink lets the processes of one app of a space connect to those of another.
type AppLink struct {
	From   string    `json:"from"` // app
	To     string    `json:"to"`   // app
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Same tells whether two links are between the same apps.
func (l AppLink) Same(o AppLink) bool { return l.From == o.From && l.To == o.To }

// LeastTLS is the version that connections to the space's apps have at least.
func (s *Space) LeastTLS() string {
	if s.MinTLS == TLS13 {
		return TLS13
	}
	return TLS12
}

// Kind is KindSpace.
func (*Space) Kind() Kind { return KindSpace }

// Keys finds a space by name or team.
func (s *Space) Keys() []Key {
	return []Key{{"all", ""}, {"name", s.Name}, {"team", s.Team}}
}

// Within is the space.
func (s *Space) Within() string { return s.ID }

// ePHI marks of an app or add-on.
const (
	EPHIYes     = "yes"
	EPHINo      = "no"
	EPHIUnknown = "unknown"
)

// CheckEPHI refuses what is no mark.
func CheckEPHI(mark string) error {
	if mark != EPHIYes && mark != EPHINo && mark != EPHIUnknown {
		return fault.New(fault.Invalid, "ephi is yes, no or unknown.")
	}
	return nil
}

// App is an application in a space.
type App struct {
	Base
	Name        string     `json:"name"` // unique
	Team        string     `json:"team"`
	Space       string     `json:"space"`
	Owner       string     `json:"owner"` // account that created it
	Stack       string     `json:"stack"`
	Maintenance bool       `json:"maintenance"`
	EPHI        string     `json:"ephi"`
	ReleasedAt  *time.Time `json:"released_at"`
	SlugSize    int64      `json:"slug_size"`
	Features    []string   `json:"features"` // once names of app features; what features there are is fixed now
	RunSeq      int        `json:"run_seq"`  // number of the last one-off dyno
}

// Kind is KindApp.
func (*App) Kind() Kind { return KindApp }

// Keys finds an app by name, space or team.
func (a *App) Keys() []Key {
	return []Key{{"all", ""}, {"name", a.Name}, {"space", a.Space}, {"team", a.Team}}
}

// Within is the app's space.
func (a *App) Within() string { return a.Space }

// Collaborator gives one account access to one app.
type Collaborator struct {
	Base
	App         string   `json:"app"`
	Space       string   `json:"space"`
	Account     string   `json:"account"`
	Email       string   `json:"email"`
	Permissions []string `json:"permissions"` // view, deploy, operate, manage
	GrantedBy   string   `json:"granted_by"`
}

// Kind is KindCollaborator.
func (*Collaborator) Kind() Kind { return KindCollaborator }

// Keys finds collaborators by app, account, or both.
func (c *Collaborator) Keys() []Key {
	return []Key{{"app", c.App}, {"account", c.Account}, {"app+account", c.App + "+" + c.Account}}
}

// Within is the app's space.
func (c *Collaborator) Within() string { return c.Space }

// Config is an app's config vars: names here, values sealed. Its id is the app's.
type Config struct {
	Base
	App   string      `json:"app"`
	Space string      `json:"space"`
	Vars  []ConfigVar `json:"vars"` // sorted by name
}

// ConfigVar is one config var.
type ConfigVar struct {
	Name  string `json:"name"`
	Value Sealed `json:"value"`
	Owner string `json:"owner"` // add-on attachment that sets it, or ""
}

// Kind is KindConfig.
func (*Config) Kind() Kind { return KindConfig }

// Keys is empty: a config is found by its app's id.
func (*Config) Keys() []Key { return nil }

// Within is the app's space.
func (c *Config) Within() string { return c.Space }

// Build states.
const (
	BuildPending   = "pending"
	BuildSucceeded = "succeeded"
	BuildFailed    = "failed"
)

// Build makes a slug from a commit.
type Build struct {
	Base
	App     string `json:"app"`
	Space   string `json:"space"`
	Commit  string `json:"commit"` // git object id
	By      string `json:"by"`     // account that pushed
	ByEmail string `json:"by_email"`
	// Authors are the addresses of those who wrote or pushed what it brings
	// over the code that was live.
	Authors   []string `json:"authors"`
	Status    string   `json:"status"`
	Slug      string   `json:"slug"`
	Buildpack string   `json:"buildpack"`
	Log       string   `json:"log"` // digest of the build log
	Message   string   `json:"message"`
}

// Kind is KindBuild.
func (*Build) Kind() Kind { return KindBuild }

// Keys finds builds by app, and those that have not ended.
func (b *Build) Keys() []Key {
	keys := []Key{{"app", b.App}}
	if b.Status == BuildPending {
		keys = append(keys, Key{"open", ""})
	}
	return keys
}

// Within is the app's space.
func (b *Build) Within() string { return b.Space }

// Slug is a built image with its process types and provenance.
type Slug struct {
	Base
	App        string    `json:"app"`
	Space      string    `json:"space"`
	Image      string    `json:"image"` // manifest digest in the engine
	Archive    string    `json:"archive"`
	Commit     string    `json:"commit"`
	Build      string    `json:"build"`
	Processes  []Process `json:"processes"`
	Size       int64     `json:"size"`
	SBOM       string    `json:"sbom"`       // digest of the CycloneDX JSON
	Provenance string    `json:"provenance"` // digest of the DSSE envelope
}

// Process is a line of the Procfile.
type Process struct {
	Type    string `json:"type"`
	Command string `json:"command"`
}

// Kind is KindSlug.
func (*Slug) Kind() Kind { return KindSlug }

// Keys finds slugs by app.
func (s *Slug) Keys() []Key { return []Key{{"app", s.App}} }

// Within is the app's space.
func (s *Slug) Within() string { return s.Space }

// Release states.
const (
	ReleaseWaiting   = "waiting" // for approval
	ReleasePending   = "pending" // its release phase runs
	ReleaseSucceeded = "succeeded"
	ReleaseFailed    = "failed"
	ReleaseExpired   = "expired" // overtaken before it was approved
)

// Release is a slug with a config, numbered. The entry that makes it current
// carries the whole story: commit, image, author, approvals.
type Release struct {
	Base
	App         string     `json:"app"`
	Space       string     `json:"space"`
	Version     int        `json:"version"`
	Slug        string     `json:"slug"` // "" before the first build
	Image       string     `json:"image"`
	Commit      string     `json:"commit"`
	SBOM        string     `json:"sbom"`
	Provenance  string     `json:"provenance"`
	ConfigRev   int64      `json:"config_rev"`
	Description string     `json:"description"`
	By          string     `json:"by"`
	ByEmail     string     `json:"by_email"`
	Authors     []string   `json:"authors"` // as the build's
	Status      string     `json:"status"`
	Current     bool       `json:"current"`
	Required    int        `json:"required"` // approvals that policy asked for
	Approvals   []Approval `json:"approvals"`
	Replaces    int        `json:"replaces"` // version that was current before
	LiveAt      *time.Time `json:"live_at"`
	Output      string     `json:"output"` // digest of the release phase's output
	Rollback    int        `json:"rollback"`
	// Code: it brings a build's code. Otherwise it runs the code that is live
	// when it goes live.
	Code bool `json:"code"`
	// Emergency: one person let it go live without the approvals that policy
	// asked for. Alone says who and why; it is null without an emergency.
	Emergency bool   `json:"emergency"`
	Alone     *Alone `json:"alone"`
}

// Alone is what one person did in an emergency, and the second person's look at
// it afterwards.
type Alone struct {
	By     string    `json:"by"`
	Email  string    `json:"email"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Review *Approval `json:"review"` // null: nobody has looked yet
}

// Approval is a second person's yes.
type Approval struct {
	By    string    `json:"by"`
	Email string    `json:"email"`
	At    time.Time `json:"at"`
	Note  string    `json:"note"`
}

// Kind is KindRelease.
func (*Release) Kind() Kind { return KindRelease }

// Keys finds releases by app, version and being current.
func (r *Release) Keys() []Key {
	keys := []Key{{"app", r.App}, {"app+version", r.App + "+" + itoa(r.Version)}}
	if r.Current {
		keys = append(keys, Key{"current", r.App})
	}
	if r.Status == ReleaseWaiting || r.Status == ReleasePending {
		keys = append(keys, Key{"open", r.App})
	}
	return keys
}

// Within is the app's space.
func (r *Release) Within() string { return r.Space }

// Formation is how many dynos of a process type shall run.
type Formation struct {
	Base
	App      string `json:"app"`
	Space    string `json:"space"`
	Type     string `json:"type"`
	Command  string `json:"command"`
	Quantity int    `json:"quantity"`
	Size     string `json:"size"`
	Restart  int    `json:"restart"` // grows with each ps:restart
}

// Kind is KindFormation.
func (*Formation) Kind() Kind { return KindFormation }

// Keys finds formations by app and type.
func (f *Formation) Keys() []Key {
	return []Key{{"all", ""}, {"app", f.App}, {"app+type", f.App + "+" + f.Type}}
}

// Within is the app's space.
func (f *Formation) Within() string { return f.Space }

// Dyno is a running process as last observed: a member of a formation, or a
// one-off.
type Dyno struct {
	Base
	App       string `json:"app"`
	Space     string `json:"space"`
	Name      string `json:"name"` // web.1, run.1234
	Type      string `json:"type"`
	Command   string `json:"command"` // empty for one-offs: it may hold PHI
	Size      string `json:"size"`
	State     string `json:"state"` // starting, up, crashed, complete
	Release   int    `json:"release"`
	ExitCode  *int   `json:"exit_code"`
	Attached  bool   `json:"attached"`
	By        string `json:"by"`
	Formation string `json:"formation"`
}

// Kind is KindDyno.
func (*Dyno) Kind() Kind { return KindDyno }

// Keys finds dynos by app and name.
func (d *Dyno) Keys() []Key {
	return []Key{{"app", d.App}, {"space", d.Space}, {"app+name", d.App + "+" + d.Name}}
}

// Within is the app's space.
func (d *Dyno) Within() string { return d.Space }

// Domain sends a hostname to an app.
type Domain struct {
	Base
	App      string `json:"app"`
	Space    string `json:"space"`
	Hostname string `json:"hostname"`
	Default  bool   `json:"default"`  // the app's own name under the platform's domain
	Endpoint string `json:"endpoint"` // certificate, or "" for the space CA's
	MinTLS   string `json:"min_tls"`  // the least version for this domain: "1.3", or "" for the space's
	// Clients are those of whom one must vouch for each client; nil: clients need
	// no certificate.
	Clients *Authorities `json:"clients"`
}

// Authorities vouch for the clients of a domain.
type Authorities struct {
	Certificates string    `json:"certificates"` // PEM: public
	Subjects     []string  `json:"subjects"`
	EndsAt       time.Time `json:"ends_at"` // the end of the first one that ends
}

// LeastTLS is the version that a connection to the domain has at least: the
// stricter of what it and its space ask for.
func (d *Domain) LeastTLS(s *Space) string {
	if d.MinTLS == TLS13 {
		return TLS13
	}
	return s.LeastTLS()
}

// Kind is KindDomain.
func (*Domain) Kind() Kind { return KindDomain }

// Keys finds domains by app and hostname.
func (d *Domain) Keys() []Key {
	return []Key{{"app", d.App}, {"space", d.Space}, {"hostname", d.Hostname}}
}

// Within is the app's space.
func (d *Domain) Within() string { return d.Space }

// Endpoint is an uploaded certificate (Heroku: SNI endpoint).
type Endpoint struct {
	Base
	App         string    `json:"app"`
	Space       string    `json:"space"`
	Name        string    `json:"name"`
	Certificate string    `json:"certificate"` // PEM chain: public
	Key         Sealed    `json:"key"`
	Names       []string  `json:"names"`
	Issuer      string    `json:"issuer"`
	Subject     string    `json:"subject"`
	StartsAt    time.Time `json:"starts_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	SelfSigned  bool      `json:"self_signed"`
	Vouched     bool      `json:"vouched"` // by one of the public authorities that the host knew at the upload
	Fingerprint string    `json:"fingerprint"`
}

// Kind is KindEndpoint.
func (*Endpoint) Kind() Kind { return KindEndpoint }

// Keys finds endpoints by app and name.
func (e *Endpoint) Keys() []Key {
	return []Key{{"app", e.App}, {"space", e.Space}, {"app+name", e.App + "+" + e.Name}}
}

// Within is the app's space.
func (e *Endpoint) Within() string { return e.Space }

// BuildpackList is which buildpacks an app uses. Its id is the app's.
type BuildpackList struct {
	Base
	App   string   `json:"app"`
	Space string   `json:"space"`
	URLs  []string `json:"urls"`
}

// Kind is KindBuildpackList.
func (*BuildpackList) Kind() Kind { return KindBuildpackList }

// Keys is empty: it is found by its app's id.
func (*BuildpackList) Keys() []Key { return nil }

// Within is the app's space.
func (b *BuildpackList) Within() string { return b.Space }
