package document

import (
	"strconv"
	"time"
)

// Kinds of managed services, sessions and evidence.
const (
	KindAddon      Kind = "addon"
	KindAttachment Kind = "attachment"
	KindSession    Kind = "session"
	KindImage      Kind = "image"
	KindAttempt    Kind = "attempt"
	KindPack       Kind = "pack"
)

// Add-on states.
const (
	AddonProvisioning   = "provisioning"
	AddonProvisioned    = "provisioned"
	AddonDeprovisioning = "deprovisioning"
	AddonDeprovisioned  = "deprovisioned"
)

// Addon is a managed service of an app.
type Addon struct {
	Base
	App       string       `json:"app"` // that it was created for
	Space     string       `json:"space"`
	Team      string       `json:"team"`
	Name      string       `json:"name"` // unique
	Service   string       `json:"service"`
	Plan      string       `json:"plan"`
	State     string       `json:"state"`
	EPHI      string       `json:"ephi"`
	Version   string       `json:"version"`
	Volume    string       `json:"volume"`
	VolumeKey *Sealed      `json:"volume_key"`
	Bytes     int64        `json:"bytes"`
	Image     string       `json:"image"`
	Admin     *Sealed      `json:"admin"`
	Roles     []Credential `json:"roles"`
	Config    []NameValue  `json:"config"`
	Message   string       `json:"message"` // why provisioning failed, or ""
	CreatedBy string       `json:"created_by"`
}

// Credential is a database role; its password is sealed.
type Credential struct {
	Name     string `json:"name"`
	User     string `json:"user"`
	Database string `json:"database"`
	Password Sealed `json:"password"`
}

// NameValue is one member of a map with user-chosen names.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Kind is KindAddon.
func (*Addon) Kind() Kind { return KindAddon }

// Keys finds add-ons by app, space, team and name.
func (a *Addon) Keys() []Key {
	return []Key{{"all", ""}, {"app", a.App}, {"space", a.Space}, {"team", a.Team}, {"name", a.Name}}
}

// Within is the add-on's space.
func (a *Addon) Within() string { return a.Space }

// Attachment gives an app access to an add-on under a config var name.
type Attachment struct {
	Base
	App        string `json:"app"`
	Space      string `json:"space"`
	Addon      string `json:"addon"`
	Name       string `json:"name"` // DATABASE gives DATABASE_URL
	Credential string `json:"credential"`
}

// Kind is KindAttachment.
func (*Attachment) Kind() Kind { return KindAttachment }

// Keys finds attachments by app, add-on and name.
func (a *Attachment) Keys() []Key {
	return []Key{{"all", ""}, {"app", a.App}, {"space", a.Space}, {"addon", a.Addon}, {"app+name", a.App + "+" + a.Name}}
}

// Within is the app's space.
func (a *Attachment) Within() string { return a.Space }

// Session states.
const (
	SessionOpen        = "open"
	SessionClosed      = "closed"
	SessionInterrupted = "interrupted"
)

// Session is somebody's access to a running process or a database. What was
// typed lies encrypted in the recording, never here.
type Session struct {
	Base
	App       string     `json:"app"`
	Space     string     `json:"space"`
	Dyno      string     `json:"dyno"`
	By        string     `json:"by"`
	ByEmail   string     `json:"by_email"`
	Type      string     `json:"type"` // run, exec, psql
	State     string     `json:"state"`
	EndedAt   *time.Time `json:"ended_at"`
	ExitCode  *int       `json:"exit_code"`
	Recording string     `json:"recording"` // digest
	Bytes     int64      `json:"bytes"`
}

// Kind is KindSession.
func (*Session) Kind() Kind { return KindSession }

// Keys finds sessions by app, space and state.
func (s *Session) Keys() []Key {
	keys := []Key{{"app", s.App}, {"space", s.Space}}
	if s.State == SessionOpen {
		keys = append(keys, Key{"open", ""})
	}
	return keys
}

// Within is the app's space.
func (s *Session) Within() string { return s.Space }

// Image is a base or service image of the platform, by the recipe it was built from.
type Image struct {
	Base
	Name   string `json:"name"` // base, postgres
	Digest string `json:"digest"`
	Recipe string `json:"recipe"`
	SBOM   string `json:"sbom"`
}

// Kind is KindImage.
func (*Image) Kind() Kind { return KindImage }

// Keys finds images by name.
func (i *Image) Keys() []Key { return []Key{{"all", ""}, {"name", i.Name}} }

// Within is the installation.
func (*Image) Within() string { return "" }

// Attempt is the last result of trying what must not work. Its id is derived
// from scope and name, so that there is one for each.
type Attempt struct {
	Base
	Scope   string `json:"scope"`
	Name    string `json:"name"`   // what was tried
	From    string `json:"from"`   // where it was tried from
	Target  string `json:"target"` // what it was aimed at
	Refused bool   `json:"refused"`
	Result  string `json:"result"` // what happened, in words
	Count   int64  `json:"count"`
}

// Kind is KindAttempt.
func (*Attempt) Kind() Kind { return KindAttempt }

// Keys finds attempts by scope.
func (a *Attempt) Keys() []Key { return []Key{{"scope", a.Scope}} }

// Within is the scope that was attacked.
func (a *Attempt) Within() string { return a.Scope }

// Pack is an evidence pack that was handed out.
type Pack struct {
	Base
	Scope    string    `json:"scope"`
	Spaces   []string  `json:"spaces"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	By       string    `json:"by"`
	ByEmail  string    `json:"by_email"`
	Manifest string    `json:"manifest"` // digest, once it is written
}

// Kind is KindPack.
func (*Pack) Kind() Kind { return KindPack }

// Keys finds packs by scope.
func (p *Pack) Keys() []Key { return []Key{{"scope", p.Scope}} }

// Within is the space or team that the pack is about.
func (p *Pack) Within() string { return p.Scope }

func itoa(n int) string { return strconv.Itoa(n) }
