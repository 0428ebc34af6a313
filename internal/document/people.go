package document

import (
	"strings"
	"time"
)

// Kinds of people and what they may do.
const (
	KindInstallation Kind = "installation"
	KindAccount      Kind = "account"
	KindToken        Kind = "token"
	KindKey          Kind = "key"
	KindTeam         Kind = "team"
	KindMember       Kind = "member"
	KindPolicy       Kind = "policy"
	KindException    Kind = "exception"
	KindRequest      Kind = "request"
)

// Installation is the one document about the whole: its id names the ledger.
type Installation struct {
	Base
	Name      string `json:"name"`       // host name of the API
	LogNumber int    `json:"log_number"` // grows by one when a new log begins
	LogKey    string `json:"log_key"`    // verifier key of the log, as in the engagement letter
	Version   string `json:"version"`    // of the program that made it
	// BuildKey verifies the provenance of builds: PEM, "" before a server of
	// this version first started.
	BuildKey string `json:"build_key"`
	// Program and Settings are the digests of the program and of the settings
	// that the server last started with, "" before one of this version did.
	Program  string `json:"program"`
	Settings string `json:"settings"`
	// Simulated says that what is on record did not happen. It is said when the
	// installation is made, and nothing takes it back.
	Simulated bool `json:"simulated"`
}

// Kind is KindInstallation.
func (*Installation) Kind() Kind { return KindInstallation }

// Keys finds the installation without its id.
func (*Installation) Keys() []Key { return []Key{{"all", ""}} }

// Within is the installation itself.
func (*Installation) Within() string { return "" }

// Account is a person. It belongs to the installation, its memberships to teams.
type Account struct {
	Base
	Email     string  `json:"email"` // lower case, unique
	Name      string  `json:"name"`
	Password  *Sealed `json:"password"` // sealed PBKDF2 hash; null: cannot log in with one
	CreatedBy string  `json:"created_by"`
	Suspended bool    `json:"suspended"`
	Operator  bool    `json:"operator"` // may create teams and accounts
	// UsedAt is when somebody last came with its password or one of its tokens,
	// to the day; null: not since the day it was made.
	UsedAt *time.Time `json:"used_at"`
}

// NobodysDomain is that of the addresses of accounts that the platform makes for
// its own attempts: reserved, so that it is nobody's (RFC 6761).
const NobodysDomain = "strongroom.invalid"

// Nobodys tells whether the account is no person's: the platform made it for its
// own attempts. Somebody who makes one with such an address is told by that.
func (a *Account) Nobodys() bool {
	return a.CreatedBy == "" && strings.HasSuffix(a.Email, "@"+NobodysDomain)
}

// Sealed names a sealed value: where it is kept and the digest of its
// ciphertext, never the value (spec: secrets are never in a body).
type Sealed struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
}

// Kind is KindAccount.
func (*Account) Kind() Kind { return KindAccount }

// Keys finds an account by address.
func (a *Account) Keys() []Key { return []Key{{"all", ""}, {"email", a.Email}} }

// Within is the installation.
func (*Account) Within() string { return "" }

// Token is an authorization: what a client shows to act for an account.
// The token itself is 256 random bits and only its SHA-256 is kept.
type Token struct {
	Base
	Account     string     `json:"account"`
	Digest      string     `json:"digest"`
	Description string     `json:"description"`
	Scope       []string   `json:"scope"`
	ExpiresAt   *time.Time `json:"expires_at"`
}

// Kind is KindToken.
func (*Token) Kind() Kind { return KindToken }

// Keys finds a token by its digest or its account.
func (t *Token) Keys() []Key { return []Key{{"digest", t.Digest}, {"account", t.Account}} }

// Within is the installation.
func (*Token) Within() string { return "" }

// SSHKey is a person's public key.
type SSHKey struct {
	Base
	Account     string `json:"account"`
	PublicKey   string `json:"public_key"`
	Fingerprint string `json:"fingerprint"`
	Comment     string `json:"comment"`
}

// Kind is KindKey.
func (*SSHKey) Kind() Kind { return KindKey }

// Keys finds a key by account or fingerprint.
func (k *SSHKey) Keys() []Key {
	return []Key{{"account", k.Account}, {"fingerprint", k.Fingerprint}}
}

// Within is the installation.
func (*SSHKey) Within() string { return "" }

// Team owns spaces and apps. Its id is a scope.
type Team struct {
	Base
	Name      string `json:"name"` // unique
	CreatedBy string `json:"created_by"`
}

// Kind is KindTeam.
func (*Team) Kind() Kind { return KindTeam }

// Keys finds a team by name.
func (t *Team) Keys() []Key { return []Key{{"all", ""}, {"name", t.Name}} }

// Within is the team.
func (t *Team) Within() string { return t.ID }

// Member is an account's place in a team: all roles it holds there.
type Member struct {
	Base
	Team      string   `json:"team"`
	Account   string   `json:"account"`
	Email     string   `json:"email"`
	Roles     []string `json:"roles"`
	GrantedBy []Grant  `json:"granted_by"` // who gave each role, when
}

// Grant tells who gave a role.
type Grant struct {
	Role     string    `json:"role"`
	By       string    `json:"by"`       // account id
	ByEmail  string    `json:"by_email"` // as known then
	Approver string    `json:"approver"` // the second person, or ""
	At       time.Time `json:"at"`
}

// Kind is KindMember.
func (*Member) Kind() Kind { return KindMember }

// Keys finds members by team, account, or both.
func (m *Member) Keys() []Key {
	return []Key{{"team", m.Team}, {"account", m.Account}, {"team+account", m.Team + "+" + m.Account}}
}

// Within is the team.
func (m *Member) Within() string { return m.Team }

// Policy is what a team requires. Its id is the team's.
type Policy struct {
	Base
	// Approvals is how many people besides the author must approve a release
	// of new code before it goes live: 0 or 1.
	Approvals int `json:"approvals"`
	// ApproveConfig asks the same for releases that only change config vars.
	ApproveConfig bool `json:"approve_config"`
	// Emergency lets an owner or admin take a release live alone, with a reason;
	// a second person reviews it afterwards.
	Emergency bool `json:"emergency"`
}

// Kind is KindPolicy.
func (*Policy) Kind() Kind { return KindPolicy }

// Keys is empty: a policy is found by its team's id.
func (*Policy) Keys() []Key { return nil }

// Within is the team.
func (p *Policy) Within() string { return p.ID }

// Exception is a compensating control: something that should have had a second
// person and had none. The exceptions report lists it for ever.
type Exception struct {
	Base
	Team    string `json:"team"`
	What    string `json:"what"` // the action
	Subject string `json:"subject"`
	By      string `json:"by"`
	ByEmail string `json:"by_email"`
	Reason  string `json:"reason"`
}

// Kind is KindException.
func (*Exception) Kind() Kind { return KindException }

// Keys finds exceptions by team.
func (e *Exception) Keys() []Key { return []Key{{"team", e.Team}} }

// Within is the team.
func (e *Exception) Within() string { return e.Team }

// States of a Request.
const (
	RequestWaiting  = "waiting"
	RequestGranted  = "granted"
	RequestRefused  = "refused"
	RequestObsolete = "obsolete"
)

// Request waits for a second person: a role that weighs, a policy made weaker.
type Request struct {
	Base
	Team      string  `json:"team"`
	What      string  `json:"what"` // "role.grant", "policy.update"
	By        string  `json:"by"`
	ByEmail   string  `json:"by_email"`
	Account   string  `json:"account"` // role.grant: to whom
	Email     string  `json:"email"`
	Role      string  `json:"role"`
	Policy    *Policy `json:"policy"` // policy.update: what it shall be
	Reason    string  `json:"reason"`
	State     string  `json:"state"`
	DecidedBy string  `json:"decided_by"`
}

// Kind is KindRequest.
func (*Request) Kind() Kind { return KindRequest }

// Keys finds requests by team and state.
func (r *Request) Keys() []Key {
	return []Key{{"team", r.Team}, {"team+state", r.Team + "+" + r.State}}
}

// Within is the team.
func (r *Request) Within() string { return r.Team }
