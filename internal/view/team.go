package view

import (
	"slices"

	"github.com/strongroom/strongroom/internal/document"
)

// Team owns spaces and apps (Heroku: team).
type Team struct {
	ID                    string  `json:"id"`
	CreatedAt             Time    `json:"created_at"`
	CreditCardCollections bool    `json:"credit_card_collections"`
	Default               bool    `json:"default"`
	EnterpriseAccount     *Ref    `json:"enterprise_account"`
	IdentityProvider      *Ref    `json:"identity_provider"`
	MembershipLimit       *int    `json:"membership_limit"`
	Name                  string  `json:"name"`
	ProvisionedLicenses   bool    `json:"provisioned_licenses"`
	Role                  *string `json:"role"`
	Type                  string  `json:"type"`
	UpdatedAt             Time    `json:"updated_at"`
}

// OfTeam shows a team to somebody who holds the roles in it.
func OfTeam(t *document.Team, roles []string) Team {
	return Team{
		ID: t.ID, CreatedAt: Time(t.CreatedAt), Name: t.Name, Role: text(HerokuRole(roles)),
		// The CLI shows spaces and permissions for enterprise teams only.
		Type: "enterprise", ProvisionedLicenses: true, UpdatedAt: Time(t.UpdatedAt),
	}
}

// herokuRoles are those that Heroku's clients know, the strongest first.
var herokuRoles = []string{"owner", "admin", "member", "collaborator"}

// HerokuRole picks the one role that Heroku's clients understand: the strongest
// held. Viewers, approvers and auditors are collaborators to them; "" means no
// role at all.
func HerokuRole(roles []string) string {
	for _, r := range herokuRoles {
		if slices.Contains(roles, r) {
			return r
		}
	}
	for _, r := range roles {
		if r != "operator" {
			return "collaborator"
		}
	}
	return ""
}

// Member is an account's place in a team (Heroku: team-member).
type Member struct {
	CreatedAt        Time    `json:"created_at"`
	Email            string  `json:"email"`
	Federated        bool    `json:"federated"`
	ID               string  `json:"id"`
	IdentityProvider *Ref    `json:"identity_provider"`
	Role             *string `json:"role"`
	TwoFactor        bool    `json:"two_factor_authentication"`
	UpdatedAt        Time    `json:"updated_at"`
	User             struct {
		User
		Name string `json:"name"`
	} `json:"user"`
}

// OfMember shows a membership.
func OfMember(m *document.Member, a *document.Account) Member {
	out := Member{
		CreatedAt: Time(m.CreatedAt), Email: m.Email, ID: m.ID, Role: text(HerokuRole(m.Roles)), UpdatedAt: Time(m.UpdatedAt),
	}
	out.User.User, out.User.Name = User{m.Account, m.Email}, m.Email
	if a != nil {
		out.User.Name = a.Name
	}
	return out
}
