package evidence

import "github.com/strongroom/strongroom/internal/pack"

// requests: what one person asked for and a second one decided, or has not yet.
var requests = Definition{
	Name: "requests", Title: "Requests for a second person",
	Says:   "Roles and policies that needed a second person: who asked for what and why, and who decided, or that nobody has yet.",
	Covers: "every request ever made in the team, as of the end of the period",
	Kind:   "request",
	Columns: columns([]pack.Column{
		{"request", "/doc/id"},
		{"what", "/doc/what"},
		{"asked by", "/doc/by_email"},
		{"reason", "/doc/reason"},
		{"asked at", "/doc/created_at"},
		{"for", "/doc/email"},
		{"role", "/doc/role"},
		{"approvals to be", "/doc/policy/approvals"},
		{"config to be approved", "/doc/policy/approve_config"},
		{"state", "/doc/state"},
		{"decided by account", "/doc/decided_by"},
		{"last change", "/doc/updated_at"},
	}),
}
