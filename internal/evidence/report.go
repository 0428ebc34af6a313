package evidence

import (
	"strings"

	"github.com/strongroom/strongroom/internal/pack"
)

// Definition is a report of a pack: what makes its provable CSV, and what a
// reader is told about it.
type Definition struct {
	Name    string // of its files
	Title   string
	Says    string // what it answers, in words
	Covers  string // the predicate, in words
	Actions []string
	Kind    string // of documents; the state at the period's end
	Columns []pack.Column
}

// who are the columns that say who did something and how.
var who = []pack.Column{
	{"who", "/body/actor/email"},
	{"kind of actor", "/body/actor/kind"},
	{"roles", "/body/actor/roles"},
	{"via", "/body/via"},
	{"address", "/body/actor/ip"},
	{"client", "/body/actor/user_agent"},
	{"mfa", "/body/actor/mfa"},
}

func columns(groups ...[]pack.Column) []pack.Column {
	out := []pack.Column{pack.SeqColumn}
	for _, g := range groups {
		out = append(out, g...)
	}
	return out
}

// Other columns that reports of all kinds of actions have: what was done and how
// it came out, to what, what was answered and given as reason, and how many
// refusals one entry stands for.
var (
	when    = []pack.Column{{"time", "/header/time"}, {"action", "/body/action"}, {"outcome", "/body/outcome"}}
	what    = []pack.Column{{"target kind", "/body/target/kind"}, {"target", "/body/target/name"}, {"details", "/body/details"}}
	because = []pack.Column{{"told", "/body/error"}, {"reason", "/body/reason"}}
	often   = []pack.Column{{"count", "/body/count"}}
)

// Definitions are the reports that every pack has.
var Definitions = []Definition{
	{
		Name: "deployments", Title: "Deployments",
		Says:    "Which code went live, when, who wrote, pushed and approved it, and what it replaced; in an emergency, who let it go live without a second person, and why.",
		Covers:  "every release of an app in scope that became current in the period",
		Actions: []string{"release.live"},
		Columns: columns([]pack.Column{
			{"time", "/header/time"},
			{"release", "/body/target/name"},
			{"app id", "/body/app"},
			{"description", "/body/changes/0/doc/description"},
			{"commit", "/body/changes/0/doc/commit"},
			{"image", "/body/changes/0/doc/image"},
			{"sbom", "/body/changes/0/doc/sbom"},
			{"provenance", "/body/changes/0/doc/provenance"},
			{"pushed by", "/body/changes/0/doc/by_email"},
			{"written by", "/body/changes/0/doc/authors"},
			{"approvals required", "/body/changes/0/doc/required"},
			{"approved by", "/body/changes/0/doc/approvals/0/email"},
			{"approved at", "/body/changes/0/doc/approvals/0/at"},
			{"approvals", "/body/changes/0/doc/approvals"},
			{"live at", "/body/changes/0/doc/live_at"},
			{"replaces version", "/body/changes/0/doc/replaces"},
			{"cause", "/body/cause"},
			{"emergency", "/body/changes/0/doc/emergency"},
			{"emergency by", "/body/changes/0/doc/alone/email"},
			{"emergency reason", "/body/changes/0/doc/alone/reason"},
		}),
	},
	{
		Name: "approvals", Title: "Approvals",
		Says:    "Every attempt to approve a release, also those that were refused, and the reviews of what went live in an emergency.",
		Covers:  "every entry release.approve, release.emergency, release.review and release.rollback in the period, whatever its outcome",
		Actions: []string{"release.approve", "release.emergency", "release.review", "release.rollback"},
		Columns: columns(when, []pack.Column{{"release", "/body/target/name"}}, who, because, often),
	},
	{
		Name: "config-changes", Title: "Configuration changes",
		Says:    "Which config vars were set or removed, by whom. Names only: values are sealed and in no report.",
		Covers:  "every entry in the period that set or removed config vars of an app in scope",
		Actions: []string{"config.set", "addon.create", "addon.provision", "addon.attach", "addon.detach", "addon.destroy"},
		Columns: columns(when, []pack.Column{{"target", "/body/target/name"}, {"details", "/body/details"}}, who, because),
	},
	{
		Name: "access-events", Title: "Access events",
		Says:   "Log-ins, tokens and keys, and every read of something sensitive: config values, credentials, logs, code, recordings, evidence.",
		Covers: "every entry in the period of the actions listed in reports/index.json, whatever its outcome",
		Actions: []string{
			"account.login", "account.use", "token.create", "token.revoke", "key.add", "key.remove", "config.read", "credential.read", "log.read",
			"repository.read", "repository.push", "session.open", "session.play", "evidence.export", "evidence.issue",
		},
		Columns: columns(when, what, who, because, often),
	},
	{
		Name: "sessions", Title: "Sessions",
		Says:    "Who had a terminal in a running process or a connection to a database, for how long, and the digest of the recording.",
		Covers:  "every entry session.open and session.close in the period",
		Actions: []string{"session.open", "session.close"},
		Columns: columns(when, []pack.Column{
			{"session", "/body/changes/0/doc/id"},
			{"app", "/body/app"},
			{"where", "/body/changes/0/doc/dyno"},
			{"type", "/body/changes/0/doc/type"},
			{"whose", "/body/changes/0/doc/by_email"},
			{"state", "/body/changes/0/doc/state"},
			{"exit code", "/body/changes/0/doc/exit_code"},
			{"bytes", "/body/changes/0/doc/bytes"},
			{"recording", "/body/changes/0/doc/recording"},
		}, who, []pack.Column{{"told", "/body/error"}}),
	},
	{
		Name: "access-changes", Title: "Changes of access",
		Says:   "Accounts made and suspended, roles given and taken, policies changed, and the second persons who decided.",
		Covers: "every entry in the period of the actions listed in reports/index.json, whatever its outcome",
		Actions: []string{
			"account.create", "account.suspend", "team.create", "role.grant", "role.revoke", "policy.update",
			"request.grant", "request.refuse", "collaborator.add", "collaborator.remove", "attempt.stage",
		},
		Columns: columns(when, what, who, because, often),
	},
	{
		Name: "space-changes", Title: "Changes of spaces",
		Says:    "Spaces made and destroyed, who may connect to them and how, what may leave them, and what tried to without being allowed.",
		Covers:  "every entry in the period that changed a space in scope, its apps' domains or certificates",
		Actions: []string{"space.create", "space.allocate", "space.rename", "space.trusted", "space.tls", "space.outbound", "outbound.refuse", "space.links", "space.destroy", "space.gone", "space.dispose", "app.create", "app.update", "app.destroy", "app.dispose", "domain.add", "domain.update", "domain.tls", "domain.remove", "certificate.add", "certificate.update", "certificate.remove", "addon.dispose"},
		Columns: columns(when, what, who, because),
	},
	{
		Name: "check-results", Title: "What checks said",
		Says:    "Every change of what a check says of something: pass, fail, not applicable or unknown, with what it saw and in which entries.",
		Covers:  "every entry check.report in the period",
		Actions: []string{"check.report"},
		Columns: columns([]pack.Column{
			{"time", "/header/time"},
			{"check", "/body/changes/0/doc/check"},
			{"version", "/body/changes/0/doc/version"},
			{"of", "/body/target/name"},
			{"status", "/body/details/0/value"},
			{"before", "/body/changes/0/doc/before"},
			{"facts", "/body/changes/0/doc/facts"},
			{"seen in entries", "/body/changes/0/doc/seqs"},
			{"catalogue", "/body/changes/0/doc/catalogue"},
		}),
	},
	{
		Name: "findings", Title: "Findings", Says: "What failed, since when, who sees to it, by when it is due, whether somebody accepted it and why, and when it was mended.",
		Covers: "every finding ever made about the space, its team or the installation, as of the end of the period", Kind: "finding",
		Columns: columns([]pack.Column{
			{"finding", "/doc/id"},
			{"check", "/doc/check"},
			{"of", "/doc/name"},
			{"controls", "/doc/controls"},
			{"severity", "/doc/severity"},
			{"state", "/doc/state"},
			{"facts", "/doc/facts"},
			{"seen in entries", "/doc/seqs"},
			{"opened at", "/doc/opened_at"},
			{"due at", "/doc/due_at"},
			{"owner", "/doc/owner"},
			{"accepted by", "/doc/accepted/email"},
			{"accepted because", "/doc/accepted/reason"},
			{"accepted until", "/doc/accepted/until"},
			{"closed at", "/doc/closed_at"},
			{"mended by", "/doc/mended_by"},
		}),
	},
	{
		Name: "users", Title: "Users", Says: "Every account of the installation at the end of the period.",
		Covers: "every account that existed at the end of the period", Kind: "account",
		Columns: columns([]pack.Column{
			{"account", "/doc/id"},
			{"email", "/doc/email"},
			{"name", "/doc/name"},
			{"operator", "/doc/operator"},
			{"suspended", "/doc/suspended"},
			{"created at", "/doc/created_at"},
			{"created by", "/doc/created_by"},
			{"last used", "/doc/used_at"},
		}),
	},
	{
		Name: "grants", Title: "Grants", Says: "Who holds which role in the team, since when, given by whom, with which second person.",
		Covers: "every membership of the team that existed at the end of the period", Kind: "member",
		Columns: columns([]pack.Column{
			{"email", "/doc/email"}, {"account", "/doc/account"}, {"team", "/doc/team"}, {"roles", "/doc/roles"}, {"granted by", "/doc/granted_by"},
		}),
	},
	{
		Name: "collaborators", Title: "Collaborators", Says: "Who has access to single apps.",
		Covers: "every collaborator of an app in scope at the end of the period", Kind: "collaborator",
		Columns: columns([]pack.Column{
			{"email", "/doc/email"}, {"account", "/doc/account"}, {"app", "/doc/app"}, {"permissions", "/doc/permissions"}, {"granted by", "/doc/granted_by"},
		}),
	},
	{
		Name: "exceptions", Title: "Exceptions", Says: "What should have had a second person and had none, with the reason given: compensating controls to look at.",
		Covers: "every exception ever made in the team, as of the end of the period", Kind: "exception",
		Columns: columns([]pack.Column{
			{"what", "/doc/what"}, {"subject", "/doc/subject"}, {"by", "/doc/by_email"}, {"reason", "/doc/reason"}, {"at", "/doc/created_at"},
		}),
	},
	requests,
	{
		Name: "apps", Title: "Apps", Says: "Every app, whose it is, and whether its team says that it holds ePHI.",
		Covers: "every app of the space at the end of the period", Kind: "app",
		Columns: columns([]pack.Column{
			{"app", "/doc/id"},
			{"name", "/doc/name"},
			{"team", "/doc/team"},
			{"ephi", "/doc/ephi"},
			{"stack", "/doc/stack"},
			{"maintenance", "/doc/maintenance"},
			{"created at", "/doc/created_at"},
			{"last release", "/doc/released_at"},
		}),
	},
	{
		Name: "addons", Title: "Add-ons", Says: "Every database: whether it holds ePHI, the app it was made for, its size, and the key that its volume is encrypted with.",
		Covers: "every add-on of the space at the end of the period", Kind: "addon",
		Columns: columns([]pack.Column{
			{"add-on", "/doc/id"},
			{"name", "/doc/name"},
			{"app", "/doc/app"},
			{"service", "/doc/service"},
			{"plan", "/doc/plan"},
			{"ephi", "/doc/ephi"},
			{"state", "/doc/state"},
			{"version", "/doc/version"},
			{"bytes", "/doc/bytes"},
			{"volume", "/doc/volume"},
			{"volume key", "/doc/volume_key/id"},
			{"image", "/doc/image"},
			{"created at", "/doc/created_at"},
			{"created by", "/doc/created_by"},
		}),
	},
	{
		Name: "attempts", Title: "Attempts", Says: "What must not work and was tried: from where, at what, and whether it was refused.",
		Covers: "the last result of every attempt on record for the space at the end of the period", Kind: "attempt",
		Columns: columns([]pack.Column{
			{"attempt", "/doc/name"},
			{"from", "/doc/from"},
			{"target", "/doc/target"},
			{"refused", "/doc/refused"},
			{"result", "/doc/result"},
			{"times", "/doc/count"},
			{"last", "/doc/updated_at"},
		}),
	},
}

// endOfPeriod is how definitions call the time whose state they show.
const endOfPeriod = "the end of the period"

// noticed is the definition in a pack that shows the state at an earlier time.
func (d Definition) noticed() Definition {
	d.Says, d.Covers = strings.ReplaceAll(d.Says, endOfPeriod, "the date of the notice"), strings.ReplaceAll(d.Covers, endOfPeriod, "the date of the notice")
	return d
}

// Report is the definition as the pack's index has it, with the state at a time.
func (d Definition) Report(at pack.Time) pack.Report {
	r := pack.Report{CSV: "reports/" + d.Name + ".csv", Type: pack.Events, Actions: d.Actions, Columns: d.Columns}
	if d.Kind != "" {
		r.Type, r.Kind, r.At, r.Actions = pack.State, d.Kind, &at, nil
	}
	return r
}
