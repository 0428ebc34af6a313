package api

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/authz"
)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// Routes is the whole API.
func Routes() []Route {
	return []Route{
		// Who I am, and what acts for me.
		{Method: get, Path: "/account", Need: authz.Anyone, Schema: "account", Scope: scopeIdentity, handle: getAccount},
		{Method: get, Path: "/users/{user}", Need: authz.Anyone, Schema: "account", Scope: scopeIdentity, handle: getUser},
		{Method: get, Path: "/account/rate-limits", Need: authz.Anyone, Schema: "rate-limit", handle: getRateLimit},
		{Method: get, Path: "/account/features", Need: authz.Anyone, Schema: "[]account-feature", handle: listAccountFeatures},
		{Method: get, Path: "/account/features/{feature}", Need: authz.Anyone, Schema: "account-feature", handle: getAccountFeature},
		{Method: get, Path: "/account/keys", Need: authz.Anyone, Schema: "[]key", handle: listKeys},
		{Method: get, Path: "/account/keys/{key}", Need: authz.Anyone, Schema: "key", handle: getKey},
		{Method: post, Path: "/account/keys", Need: authz.Anyone, Action: "key.add", Schema: "key", Scope: scopeGlobal, handle: addKey},
		{Method: remove, Path: "/account/keys/{key}", Need: authz.Anyone, Action: "key.remove", Schema: "key", Scope: scopeGlobal, handle: removeKey},
		{Method: get, Path: "/oauth/authorizations", Need: authz.Anyone, Schema: "[]oauth-authorization", Scope: scopeIdentity, handle: listAuthorizations},
		{Method: get, Path: "/oauth/authorizations/{authorization}", Need: authz.Anyone, Schema: "oauth-authorization", Scope: scopeIdentity, handle: getAuthorization},
		{Method: post, Path: "/oauth/authorizations", Need: authz.Anyone, Action: "token.create account.login", Schema: "oauth-authorization", Scope: scopeGlobal, Password: true, handle: createAuthorization},
		{Method: remove, Path: "/oauth/authorizations/{authorization}", Need: authz.Anyone, Action: "token.revoke", Schema: "oauth-authorization", Scope: scopeIdentity, handle: revokeAuthorization},
		{Method: get, Path: "/oauth/sessions", Need: authz.Anyone, Scope: scopeIdentity, handle: listOAuthSessions},
		{Method: remove, Path: "/oauth/sessions/{session}", Need: authz.Anyone, Scope: scopeIdentity, handle: deleteOAuthSession},

		// Teams: people, roles, what needs a second person.
		{Method: get, Path: "/teams", Need: authz.Anyone, Schema: "[]team", handle: listTeams},
		{Method: post, Path: "/teams", Need: authz.Operate, Action: "team.create", Schema: "team", Scope: scopeGlobal, handle: createTeam},
		{Method: get, Path: "/teams/permissions", Need: authz.Anyone, Schema: "[]team-app-permission", handle: listAppPermissions},
		{Method: get, Path: "/teams/{team}", Need: authz.TeamView, Schema: "team", handle: getTeam},
		{Method: get, Path: "/teams/{team}/features", Need: authz.TeamView, Schema: "[]team-feature", handle: listTeamFeatures},
		{Method: get, Path: "/teams/{team}/apps", Need: authz.TeamView, Schema: "[]team-app", handle: listTeamApps},
		{Method: get, Path: "/teams/{team}/spaces", Need: authz.TeamView, Schema: "[]space", handle: listTeamSpaces},
		{Method: get, Path: "/teams/{team}/addons", Need: authz.TeamView, Schema: "[]add-on", handle: listTeamAddons},
		{Method: get, Path: "/teams/{team}/members", Need: authz.TeamView, Schema: "[]team-member", handle: listMembers},
		{Method: put, Path: "/teams/{team}/members", Need: authz.TeamManage, Action: "role.grant", Schema: "team-member", Scope: scopeGlobal, handle: putMember},
		{Method: post, Path: "/teams/{team}/members", Need: authz.TeamManage, Action: "role.grant", Schema: "team-member", Scope: scopeGlobal, handle: putMember},
		{Method: patch, Path: "/teams/{team}/members", Need: authz.TeamManage, Action: "role.grant", Schema: "team-member", Scope: scopeGlobal, handle: putMember},
		{Method: remove, Path: "/teams/{team}/members/{member}", Need: authz.TeamManage, Action: "role.revoke", Schema: "team-member", Scope: scopeGlobal, handle: removeMember},
		{Method: get, Path: "/teams/{team}/members/{member}/roles", Need: authz.TeamView, handle: getRoles},
		{Method: put, Path: "/teams/{team}/members/{member}/roles/{role}", Need: authz.TeamManage, Action: "role.grant", Scope: scopeGlobal, handle: putRole},
		{Method: remove, Path: "/teams/{team}/members/{member}/roles/{role}", Need: authz.TeamManage, Action: "role.revoke", Scope: scopeGlobal, handle: deleteRole},
		{Method: get, Path: "/teams/{team}/policy", Need: authz.TeamView, handle: getPolicy},
		{Method: patch, Path: "/teams/{team}/policy", Need: authz.TeamManage, Action: "policy.update", Scope: scopeGlobal, handle: updatePolicy},
		{Method: get, Path: "/teams/{team}/requests", Need: authz.TeamView, handle: listRequests},
		{Method: get, Path: "/teams/{team}/requests/{request}", Need: authz.TeamView, handle: getRequest},
		{Method: post, Path: "/teams/{team}/requests/{request}/actions/grant", Need: authz.TeamManage, Action: "request.grant", Scope: scopeGlobal, handle: grantRequest},
		{Method: post, Path: "/teams/{team}/requests/{request}/actions/refuse", Need: authz.TeamManage, Action: "request.refuse", Scope: scopeGlobal, handle: refuseRequest},
		{Method: get, Path: "/teams/{team}/exceptions", Need: authz.TeamView, handle: listExceptions},

		// Spaces.
		{Method: get, Path: "/spaces", Need: authz.Anyone, Schema: "[]space", handle: listSpaces},
		{Method: post, Path: "/spaces", Need: authz.SpaceManage, Action: "space.create", Schema: "space", handle: createSpace},
		{Method: get, Path: "/spaces/{space}", Need: authz.SpaceView, Schema: "space", handle: getSpace},
		{Method: patch, Path: "/spaces/{space}", Need: authz.SpaceManage, Action: "space.rename", Schema: "space", handle: updateSpace},
		{Method: remove, Path: "/spaces/{space}", Need: authz.SpaceManage, Action: "space.destroy", Schema: "space", handle: destroySpace},
		{Method: get, Path: "/spaces/{space}/nat", Need: authz.SpaceView, Schema: "space-nat", handle: getNAT},
		{Method: get, Path: "/spaces/{space}/inbound-ruleset", Need: authz.SpaceView, Schema: "inbound-ruleset", handle: getInbound},
		{Method: put, Path: "/spaces/{space}/inbound-ruleset", Need: authz.SpaceManage, Action: "space.trusted", Schema: "inbound-ruleset", handle: putInbound},
		{Method: get, Path: "/spaces/{space}/dynos", Need: authz.SpaceView, handle: listSpaceDynos},
		{Method: get, Path: "/spaces/{space}/topology", Need: authz.SpaceView, Schema: "space-topology", handle: getTopology},
		{Method: get, Path: "/spaces/{space}/sessions", Need: authz.EvidenceRead, handle: listSpaceSessions},
		{Method: get, Path: "/spaces/{space}/sessions/{session}", Need: authz.EvidenceRead, handle: getSpaceSession},
		{Method: get, Path: "/spaces/{space}/sessions/{session}/recording", Need: authz.EvidenceRead, Action: "session.play", handle: playSession},
		{Method: get, Path: "/spaces/{space}/attempts", Need: authz.SpaceView, handle: listAttempts},
		{Method: post, Path: "/spaces/{space}/attempts", Need: authz.EvidenceRead, Action: "attempt.record", handle: makeAttempts},
		{Method: get, Path: "/spaces/{space}/packs", Need: authz.EvidenceRead, handle: listPacks},

		// Apps.
		{Method: get, Path: "/apps", Need: authz.Anyone, Schema: "[]app", handle: listApps},
		{Method: get, Path: "/users/{user}/apps", Need: authz.Anyone, Schema: "[]app", handle: listUserApps},
		{Method: post, Path: "/apps", Need: authz.AppCreate, Action: "app.create", Schema: "app", handle: createApp},
		{Method: post, Path: "/teams/apps", Need: authz.AppCreate, Action: "app.create", Schema: "team-app", handle: createTeamApp},
		{Method: get, Path: "/apps/{app}", Need: authz.AppView, Schema: "app", handle: getApp},
		{Method: get, Path: "/teams/apps/{app}", Need: authz.AppView, Schema: "team-app", handle: getTeamApp},
		{Method: patch, Path: "/apps/{app}", Need: authz.AppOperate, Action: "app.update", Schema: "app", handle: updateApp},
		{Method: remove, Path: "/apps/{app}", Need: authz.AppManage, Action: "app.destroy", Schema: "app", handle: destroyApp},
		{Method: get, Path: "/apps/{app}/pipeline-couplings", Need: authz.AppView, Schema: "pipeline-coupling", handle: noPipeline},
		{Method: get, Path: "/apps/{app}/features", Need: authz.AppView, Schema: "[]app-feature", handle: listAppFeatures},
		{Method: get, Path: "/apps/{app}/features/{feature}", Need: authz.AppView, Schema: "app-feature", handle: getAppFeature},
		{Method: patch, Path: "/apps/{app}/features/{feature}", Need: authz.AppView, Schema: "app-feature", handle: updateAppFeature},
		{Method: get, Path: "/apps/{app}/buildpack-installations", Need: authz.AppView, Schema: "[]buildpack-installation", handle: listBuildpacks},
		{Method: put, Path: "/apps/{app}/buildpack-installations", Need: authz.AppDeploy, Action: "app.buildpacks", Schema: "[]buildpack-installation", handle: updateBuildpacks},
		{Method: get, Path: "/apps/{app}/available-stacks", Need: authz.AppView, Schema: "[]stack", handle: listStacks},
		{Method: get, Path: "/apps/{app}/available-dyno-sizes", Need: authz.AppView, Schema: "[]dyno-size", handle: listSizes},
		{Method: get, Path: "/apps/{app}/collaborators", Need: authz.AppView, Schema: "[]collaborator", handle: listCollaborators},
		{Method: get, Path: "/apps/{app}/collaborators/{collaborator}", Need: authz.AppView, Schema: "collaborator", handle: getCollaborator},
		{Method: post, Path: "/apps/{app}/collaborators", Need: authz.AppManage, Action: "collaborator.add", Schema: "collaborator", Scope: scopeGlobal, handle: addCollaborator},
		{Method: remove, Path: "/apps/{app}/collaborators/{collaborator}", Need: authz.AppManage, Action: "collaborator.remove", Schema: "collaborator", Scope: scopeGlobal, handle: removeCollaborator},
		{Method: get, Path: "/teams/apps/{app}/collaborators", Need: authz.AppView, Schema: "[]team-app-collaborator", handle: listCollaborators},
		{Method: get, Path: "/teams/apps/{app}/collaborators/{collaborator}", Need: authz.AppView, Schema: "team-app-collaborator", handle: getCollaborator},
		{Method: post, Path: "/teams/apps/{app}/collaborators", Need: authz.AppManage, Action: "collaborator.add", Schema: "team-app-collaborator", Scope: scopeGlobal, handle: addCollaborator},
		{Method: patch, Path: "/teams/apps/{app}/collaborators/{collaborator}", Need: authz.AppManage, Action: "collaborator.add", Schema: "team-app-collaborator", Scope: scopeGlobal, handle: updateCollaborator},
		{Method: remove, Path: "/teams/apps/{app}/collaborators/{collaborator}", Need: authz.AppManage, Action: "collaborator.remove", Schema: "team-app-collaborator", Scope: scopeGlobal, handle: removeCollaborator},

		// Config, builds, releases.
		{Method: get, Path: "/apps/{app}/config-vars", Need: authz.AppSecrets, Action: "config.read", Schema: "config-var", handle: getConfigVars},
		{Method: patch, Path: "/apps/{app}/config-vars", Need: authz.AppOperate, Action: "config.set config.read", Schema: "config-var", Scope: scopeWriteProtected, handle: updateConfigVars},
		{Method: get, Path: "/apps/{app}/releases/{release}/config-vars", Need: authz.AppSecrets, Action: "config.read", Schema: "config-var", handle: getReleaseConfigVars},
		{Method: get, Path: "/apps/{app}/builds", Need: authz.AppView, Schema: "[]build", handle: listBuilds},
		{Method: get, Path: "/apps/{app}/builds/{build}", Need: authz.AppView, Schema: "build", handle: getBuild},
		{Method: get, Path: "/apps/{app}/slugs/{slug}", Need: authz.AppView, Schema: "slug", handle: getSlug},
		{Method: get, Path: "/apps/{app}/releases", Need: authz.AppView, Schema: "[]release", handle: listReleases},
		{Method: get, Path: "/apps/{app}/releases/{release}", Need: authz.AppView, Schema: "release", handle: getRelease},
		{Method: post, Path: "/apps/{app}/releases", Need: authz.AppDeploy, Action: "release.rollback", Schema: "release", handle: createRelease},
		{Method: post, Path: "/apps/{app}/releases/{release}/actions/approve", Need: authz.AppApprove, Action: "release.approve", Schema: "release", handle: approveRelease},

		// What runs.
		{Method: get, Path: "/dyno-sizes", Need: authz.Anyone, Schema: "[]dyno-size", handle: listSizes},
		{Method: get, Path: "/dyno-sizes/{size}", Need: authz.Anyone, Schema: "dyno-size", handle: getSize},
		{Method: get, Path: "/apps/{app}/formation", Need: authz.AppView, Schema: "[]formation", handle: listFormations},
		{Method: get, Path: "/apps/{app}/formation/{formation}", Need: authz.AppView, Schema: "formation", handle: getFormation},
		{Method: patch, Path: "/apps/{app}/formation", Need: authz.AppOperate, Action: "formation.scale", Schema: "[]formation", handle: scaleAll},
		{Method: patch, Path: "/apps/{app}/formation/{formation}", Need: authz.AppOperate, Action: "formation.scale", Schema: "formation", handle: scaleOne},
		{Method: get, Path: "/apps/{app}/dynos", Need: authz.AppView, Schema: "[]dyno", handle: listDynos},
		{Method: get, Path: "/apps/{app}/dynos/{dyno}", Need: authz.AppView, Schema: "dyno", handle: getDyno},
		{Method: post, Path: "/apps/{app}/dynos", Need: authz.AppShell, Action: "dyno.run", Schema: "dyno", Scope: scopeWriteProtected, handle: runDyno},
		{Method: remove, Path: "/apps/{app}/dynos", Need: authz.AppOperate, Action: "dyno.restart", handle: restartAll},
		{Method: remove, Path: "/apps/{app}/dynos/{dyno}", Need: authz.AppOperate, Action: "dyno.restart", handle: restartDyno},
		{Method: remove, Path: "/apps/{app}/formations/{type}", Need: authz.AppOperate, Action: "dyno.restart", handle: restartType},
		{Method: post, Path: "/apps/{app}/formations/{type}/actions/stop", Need: authz.AppOperate, Action: "dyno.stop", handle: stopType},
		{Method: post, Path: "/apps/{app}/dynos/{dyno}/actions/stop", Need: authz.AppOperate, Action: "dyno.stop", handle: stopDyno},
		{Method: post, Path: "/apps/{app}/log-sessions", Need: authz.AppOperate, Action: "log.read", Schema: "log-session", Scope: scopeReadProtected, handle: createLogSession},

		// Names and certificates.
		{Method: get, Path: "/apps/{app}/domains", Need: authz.AppView, Schema: "[]domain", handle: listDomains},
		{Method: get, Path: "/apps/{app}/domains/{domain}", Need: authz.AppView, Schema: "domain", handle: getDomain},
		{Method: post, Path: "/apps/{app}/domains", Need: authz.AppOperate, Action: "domain.add", Schema: "domain", handle: addDomain},
		{Method: patch, Path: "/apps/{app}/domains/{domain}", Need: authz.AppOperate, Action: "domain.update", Schema: "domain", handle: updateDomain},
		{Method: remove, Path: "/apps/{app}/domains/{domain}", Need: authz.AppOperate, Action: "domain.remove", Schema: "domain", handle: removeDomain},
		{Method: get, Path: "/apps/{app}/sni-endpoints", Need: authz.AppView, Schema: "[]sni-endpoint", handle: listEndpoints},
		{Method: get, Path: "/apps/{app}/sni-endpoints/{endpoint}", Need: authz.AppView, Schema: "sni-endpoint", handle: getEndpoint},
		{Method: post, Path: "/apps/{app}/sni-endpoints", Need: authz.AppOperate, Action: "certificate.add", Schema: "sni-endpoint", handle: addEndpoint},
		{Method: patch, Path: "/apps/{app}/sni-endpoints/{endpoint}", Need: authz.AppOperate, Action: "certificate.update", Schema: "sni-endpoint", handle: updateEndpoint},
		{Method: remove, Path: "/apps/{app}/sni-endpoints/{endpoint}", Need: authz.AppOperate, Action: "certificate.remove", Schema: "sni-endpoint", handle: removeEndpoint},

		// Managed services.
		{Method: get, Path: "/addon-services", Need: authz.Anyone, Schema: "[]add-on-service", handle: listServices},
		{Method: get, Path: "/addon-services/{service}", Need: authz.Anyone, Schema: "add-on-service", handle: getService},
		{Method: get, Path: "/addon-services/{service}/plans", Need: authz.Anyone, Schema: "[]plan", handle: listPlans},
		{Method: get, Path: "/addon-services/{service}/plans/{plan}", Need: authz.Anyone, Schema: "plan", handle: getPlan},
		{Method: get, Path: "/plans/{plan}", Need: authz.Anyone, Schema: "plan", handle: getPlan},
		{Method: get, Path: "/addons", Need: authz.Anyone, Schema: "[]add-on", handle: listAddons},
		{Method: get, Path: "/addons/{addon}", Need: authz.AppView, Schema: "add-on", handle: getAddon},
		{Method: get, Path: "/apps/{app}/addons", Need: authz.AppView, Schema: "[]add-on", handle: listAppAddons},
		{Method: get, Path: "/apps/{app}/addons/{addon}", Need: authz.AppView, Schema: "add-on", handle: getAddon},
		{Method: post, Path: "/apps/{app}/addons", Need: authz.AppManage, Action: "addon.create", Schema: "add-on", handle: createAddon},
		{Method: remove, Path: "/apps/{app}/addons/{addon}", Need: authz.AppManage, Action: "addon.destroy", Schema: "add-on", handle: destroyAddon},
		{Method: post, Path: "/actions/addons/resolve", Need: authz.AppView, Schema: "[]add-on", Scope: scopeRead, handle: resolveAddons},
		{Method: get, Path: "/addon-attachments", Need: authz.Anyone, Schema: "[]add-on-attachment", handle: listAttachments},
		{Method: get, Path: "/addon-attachments/{attachment}", Need: authz.AppView, Schema: "add-on-attachment", handle: getAttachment},
		{Method: get, Path: "/addons/{addon}/addon-attachments", Need: authz.AppView, Schema: "[]add-on-attachment", handle: listAddonAttachments},
		{Method: get, Path: "/apps/{app}/addon-attachments", Need: authz.AppView, Schema: "[]add-on-attachment", handle: listAppAttachments},
		{Method: get, Path: "/apps/{app}/addon-attachments/{attachment}", Need: authz.AppView, Schema: "add-on-attachment", handle: getAppAttachment},
		{Method: post, Path: "/addon-attachments", Need: authz.AppManage, Action: "addon.attach", Schema: "add-on-attachment", Scope: scopeWriteProtected, handle: attachAddon},
		{Method: remove, Path: "/addon-attachments/{attachment}", Need: authz.AppManage, Action: "addon.detach", Schema: "add-on-attachment", handle: detachAddon},
		{Method: post, Path: "/actions/addon-attachments/resolve", Need: authz.AppView, Schema: "[]add-on-attachment", Scope: scopeRead, handle: resolveAttachments},
		{Method: get, Path: "/client/v11/databases/{database}", Need: authz.AppView, handle: getDatabase},
		{Method: get, Path: "/client/v11/databases/{database}/wait_status", Need: authz.AppView, handle: getWaitStatus},
		{Method: get, Path: "/client/v11/databases/{database}/bastion", Need: authz.AppShell, Action: "credential.read", handle: getBastion},
		{Method: get, Path: "/postgres/v0/databases/{database}/credentials", Need: authz.AppView, handle: listCredentials},
		{Method: get, Path: "/postgres/v0/databases/{database}/credentials/{credential}", Need: authz.AppSecrets, Action: "credential.read", handle: getCredential},

		// The platform, and what it can prove.
		{Method: get, Path: "/regions", Need: authz.Anyone, Schema: "[]region", handle: listRegions},
		{Method: get, Path: "/regions/{region}", Need: authz.Anyone, Schema: "region", handle: getRegion},
		{Method: get, Path: "/stacks", Need: authz.Anyone, Schema: "[]stack", handle: listStacks},
		{Method: get, Path: "/stacks/{stack}", Need: authz.Anyone, Schema: "stack", handle: getStack},
		{Method: get, Path: "/strongroom", Need: authz.Anyone, handle: getInstallation},
		{Method: get, Path: "/strongroom/accounts", Need: authz.Operate, handle: listAccounts},
		{Method: post, Path: "/strongroom/accounts", Need: authz.Operate, Action: "account.create", Schema: "account", Scope: scopeGlobal, handle: createAccount},
		{Method: post, Path: "/strongroom/accounts/{account}/actions/suspend", Need: authz.Operate, Action: "account.suspend", Schema: "account", Scope: scopeGlobal, handle: suspendAccount},
		{Method: post, Path: "/strongroom/ledger/actions/confirm-clock", Need: authz.Operate, Action: "clock.confirm", Scope: scopeGlobal, handle: confirmClock},
		{Method: get, Path: "/strongroom/ledger/checkpoint", Need: authz.Anyone, handle: getCheckpoint},
		{Method: get, Path: "/strongroom/ledger/consistency", Need: authz.Anyone, handle: getConsistency},
		{Method: get, Path: "/strongroom/ledger/entries", Need: authz.EvidenceRead, handle: listEntries},
		{Method: get, Path: "/strongroom/ledger/entries/{seq}", Need: authz.EvidenceRead, handle: getEntry},
		{Method: get, Path: "/strongroom/ledger/entries/{seq}/proof", Need: authz.EvidenceRead, handle: getProof},
		{Method: post, Path: "/strongroom/evidence", Need: authz.EvidenceRead, Action: "evidence.export", Scope: scopeReadProtected, handle: exportEvidence},
	}
}
