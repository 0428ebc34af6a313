// Package authz says who may do what: one table from permission to roles,
// evaluated against the state inside the writer's transaction, so that a role
// taken away a moment ago is gone.
//
// internal/control asks for every command, internal/query for every read. What
// nobody is given by the table, nobody may do.
package authz

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// Role of an account in a team. A member may hold several.
type Role string

// The roles. Collaborator is what an account is that has access to single apps
// only; its permissions are on the app's Collaborator document.
const (
	Owner        Role = "owner"        // everything, also the team itself
	Admin        Role = "admin"        // everything but removing the team
	Member       Role = "member"       // builds, deploys and runs apps
	Collaborator Role = "collaborator" // single apps
	Viewer       Role = "viewer"       // sees names and states, no secrets, no logs
	Approver     Role = "approver"     // lets releases of others through
	Auditor      Role = "auditor"      // reads everything but secrets, and evidence
	Operator     Role = "operator"     // of the installation: creates teams and accounts
)

// Roles lists those that a team can give.
func Roles() []Role { return []Role{Owner, Admin, Member, Collaborator, Viewer, Approver, Auditor} }

// Permission is what a command or a read needs.
type Permission string

// The permissions, by what they are about.
const (
	Anyone        Permission = "anyone"         // logged in, about oneself
	Public        Permission = "public"         // before log-in
	Operate       Permission = "operate"        // the installation
	System        Permission = "system"         // only the platform itself
	TeamView      Permission = "team.view"      //
	TeamManage    Permission = "team.manage"    // people, roles, policies
	TeamDestroy   Permission = "team.destroy"   //
	SpaceView     Permission = "space.view"     //
	SpaceManage   Permission = "space.manage"   // create, rules, destroy
	AppView       Permission = "app.view"       //
	AppCreate     Permission = "app.create"     //
	AppDeploy     Permission = "app.deploy"     // push, roll back
	AppOperate    Permission = "app.operate"    // scale, restart, config, logs, domains
	AppManage     Permission = "app.manage"     // collaborators, add-ons, destroy
	AppShell      Permission = "app.shell"      // run, exec, psql
	AppSecrets    Permission = "app.secrets"    // read config values and credentials
	AppApprove    Permission = "app.approve"    // releases
	AppEmergency  Permission = "app.emergency"  // releases, alone, where policy allows it
	EvidenceRead  Permission = "evidence.read"  // ledger, packs, recordings
	EvidenceErase Permission = "evidence.erase" // bodies whose retention has ended
)

// granted is the table.
var granted = map[Permission][]Role{
	TeamView:      {Owner, Admin, Member, Viewer, Approver, Auditor},
	TeamManage:    {Owner, Admin},
	TeamDestroy:   {Owner},
	SpaceView:     {Owner, Admin, Member, Viewer, Approver, Auditor},
	SpaceManage:   {Owner, Admin},
	AppView:       {Owner, Admin, Member, Viewer, Approver, Auditor},
	AppCreate:     {Owner, Admin, Member},
	AppDeploy:     {Owner, Admin, Member},
	AppOperate:    {Owner, Admin, Member},
	AppManage:     {Owner, Admin},
	AppShell:      {Owner, Admin, Member},
	AppSecrets:    {Owner, Admin, Member},
	AppApprove:    {Approver},
	AppEmergency:  {Owner, Admin},
	EvidenceRead:  {Owner, Admin, Auditor},
	EvidenceErase: {Owner},
	Operate:       {Operator},
}

// collaboration is what each Heroku app permission gives on that app alone.
var collaboration = map[string][]Permission{
	"view":    {AppView},
	"deploy":  {AppView, AppDeploy, AppSecrets},
	"operate": {AppView, AppOperate, AppShell},
	"manage":  {AppView, AppManage},
}

// about are the prefixes of the permissions that concern a kind of thing and what
// is in it.
var about = map[string][]string{
	"team":  {"team.", "space.", "app."},
	"space": {"space.", "app."},
	"app":   {"app."},
}

// About lists the permissions that concern a kind of thing (team, space, app) and
// what is in it, sorted; with them those on its evidence and on the installation.
func About(kind string) (out []Permission) {
	for p := range granted {
		in := slices.ContainsFunc(about[kind], func(prefix string) bool { return strings.HasPrefix(string(p), prefix) })
		switch {
		case p == AppCreate && kind == "app":
		case in, p == EvidenceRead, p == EvidenceErase, p == Operate:
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// Resource is what a permission is needed on. Team must be set for team,
// space and app permissions; App where it concerns one app.
type Resource struct {
	Team string
	App  string
}

// Subject is who asks.
type Subject struct {
	Account string // "" = nobody is logged in
	System  bool   // the platform itself: reconciler, scheduler, probes
}

// RolesOf lists what the account is in the team, sorted, and Operator where it
// operates the installation. A suspended account has no role.
func RolesOf(v store.View, account, team string) ([]string, error) {
	if account == "" {
		return nil, nil
	}
	doc, err := v.Get(document.KindAccount, account)
	if err != nil {
		return nil, err
	}
	acct, ok := doc.(*document.Account)
	if !ok || acct.Suspended {
		return nil, nil
	}
	var roles []string
	if acct.Operator {
		roles = append(roles, string(Operator))
	}
	if team != "" {
		members, err := store.Find[*document.Member](v, "team+account", team+"+"+account)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			roles = append(roles, m.Roles...)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

// Allowed decides. roles are those of RolesOf for the resource's team.
func Allowed(v store.View, who Subject, roles []string, need Permission, on Resource) (bool, error) {
	switch {
	case need == Public:
		return true, nil
	case who.System:
		return need == System, nil
	case who.Account == "":
		return false, nil
	case need == Anyone:
		return active(v, who.Account)
	}
	if Gives(roles, need) {
		return true, nil
	}
	if on.App == "" {
		return false, nil
	}
	return collaborates(v, who.Account, on.App, need)
}

func active(v store.View, account string) (bool, error) {
	doc, err := v.Get(document.KindAccount, account)
	if err != nil {
		return false, err
	}
	acct, ok := doc.(*document.Account)
	return ok && !acct.Suspended, nil
}

func collaborates(v store.View, account, app string, need Permission) (bool, error) {
	if ok, err := active(v, account); err != nil || !ok {
		return false, err
	}
	list, err := store.Find[*document.Collaborator](v, "app+account", app+"+"+account)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(c *document.Collaborator) bool { return Collaborates(c.Permissions, need) }), nil
}

// Gives tells whether any of the roles gives the permission on all of a team.
func Gives(roles []string, need Permission) bool {
	return slices.ContainsFunc(granted[need], func(r Role) bool { return slices.Contains(roles, string(r)) })
}

// Collaborates tells whether permissions on an app give this one on it.
func Collaborates(permissions []string, need Permission) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(collaboration[p], need) })
}
