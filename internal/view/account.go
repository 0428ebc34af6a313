package view

import (
	"time"

	"github.com/strongroom/strongroom/internal/document"
)

// Account is a person (Heroku: account).
type Account struct {
	AllowTracking bool    `json:"allow_tracking"`
	Beta          bool    `json:"beta"`
	CreatedAt     Time    `json:"created_at"`
	Email         string  `json:"email"`
	Federated     bool    `json:"federated"`
	ID            string  `json:"id"`
	Identity      *Ref    `json:"identity_provider"`
	LastLogin     *Time   `json:"last_login"`
	Name          string  `json:"name"`
	SMSNumber     *string `json:"sms_number"`
	SuspendedAt   *Time   `json:"suspended_at"`
	DelinquentAt  *Time   `json:"delinquent_at"`
	TwoFactor     bool    `json:"two_factor_authentication"`
	UpdatedAt     Time    `json:"updated_at"`
	Verified      bool    `json:"verified"`
	Country       *string `json:"country_of_residence"`
	DefaultOrg    *Ref    `json:"default_organization"`
	DefaultTeam   *Ref    `json:"default_team"`
}

// OfAccount shows an account.
func OfAccount(a *document.Account) Account {
	out := Account{
		CreatedAt: Time(a.CreatedAt), Email: a.Email, ID: a.ID, Name: a.Name,
		UpdatedAt: Time(a.UpdatedAt), Verified: true, LastLogin: maybe(a.UsedAt),
	}
	if a.Suspended {
		out.SuspendedAt = maybe(&a.UpdatedAt)
	}
	return out
}

// Authorization is a token that acts for an account (Heroku:
// oauth-authorization).
type Authorization struct {
	AccessToken  *AccessToken `json:"access_token"`
	Client       *Ref         `json:"client"`
	CreatedAt    Time         `json:"created_at"`
	Description  string       `json:"description"`
	Grant        *Only        `json:"grant"`
	ID           string       `json:"id"`
	RefreshToken *Only        `json:"refresh_token"`
	Scope        []string     `json:"scope"`
	Session      *Only        `json:"session"`
	UpdatedAt    Time         `json:"updated_at"`
	User         struct {
		User
		FullName string `json:"full_name"`
	} `json:"user"`
}

// AccessToken is the part of an authorization that clients send. Token is
// empty except in the answer that creates it: only its digest is kept.
type AccessToken struct {
	ExpiresIn *int64 `json:"expires_in"`
	ID        string `json:"id"`
	Token     string `json:"token"`
}

// OfToken shows a token; clear is the token itself where it was just made.
func OfToken(t *document.Token, a *document.Account, clear string, now time.Time) Authorization {
	out := Authorization{
		AccessToken: &AccessToken{ID: t.ID, Token: clear},
		CreatedAt:   Time(t.CreatedAt), Description: t.Description, ID: t.ID,
		Scope: append([]string{}, t.Scope...), UpdatedAt: Time(t.UpdatedAt),
	}
	if t.ExpiresAt != nil {
		left := max(0, int64(t.ExpiresAt.Sub(now).Seconds()))
		out.AccessToken.ExpiresIn = &left
	}
	out.User.User, out.User.FullName = User{a.ID, a.Email}, a.Name
	return out
}

// Key is an SSH public key (Heroku: key).
type Key struct {
	Comment     string `json:"comment"`
	CreatedAt   Time   `json:"created_at"`
	Email       string `json:"email"`
	Fingerprint string `json:"fingerprint"`
	ID          string `json:"id"`
	PublicKey   string `json:"public_key"`
	UpdatedAt   Time   `json:"updated_at"`
}

// OfKey shows a key of the account.
func OfKey(k *document.SSHKey, a *document.Account) Key {
	return Key{
		Comment: k.Comment, CreatedAt: Time(k.CreatedAt), Email: a.Email, Fingerprint: k.Fingerprint,
		ID: k.ID, PublicKey: k.PublicKey, UpdatedAt: Time(k.UpdatedAt),
	}
}

// RateLimit is how many requests are left (Heroku: rate-limit).
type RateLimit struct {
	Remaining int `json:"remaining"`
}
