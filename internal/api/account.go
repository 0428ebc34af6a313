package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/view"
)

func getAccount(c *call) (Answer, error) {
	return ok(view.OfAccount(c.me()), nil)
}

// getUser shows the caller's own account only: accounts are no directory.
func getUser(c *call) (Answer, error) {
	if err := c.self(); err != nil {
		return Answer{}, err
	}
	return getAccount(c)
}

// self refuses a path that names another account than the caller's.
func (c *call) self() error {
	if u := c.path("user"); u != "~" && u != c.me().ID && !strings.EqualFold(u, c.me().Email) {
		return fault.New(fault.NotFound, "Couldn't find that user.")
	}
	return nil
}

func getRateLimit(c *call) (Answer, error) {
	return ok(view.RateLimit{Remaining: c.requests.left(c.me().ID, c.cfg.Now())}, nil)
}

// listAccountFeatures: there are none to switch on.
func listAccountFeatures(*call) (Answer, error) { return ok([]view.Feature{}, nil) }

func getAccountFeature(*call) (Answer, error) {
	return Answer{}, fault.New(fault.NotFound, "Couldn't find that account feature.")
}

func listKeys(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Keys, func(_ *query.Reader, k *document.SSHKey) (view.Key, error) {
		return view.OfKey(k, c.me()), nil
	}, property[view.Key]{name: "id", text: func(k view.Key) string { return k.ID }})
}

func getKey(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Key, error) {
		k, err := q.Key(c.path("key"))
		if err != nil {
			return view.Key{}, err
		}
		return view.OfKey(k, c.me()), nil
	}))
}

func addKey(c *call) (Answer, error) {
	var in struct {
		PublicKey string `json:"public_key"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &people.AddKey{PublicKey: in.PublicKey}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(view.OfKey(cmd.Key, c.me()), nil)
}

func removeKey(c *call) (Answer, error) {
	// A key may also be named by its comment, which query does not know; what
	// it refuses is somebody else's.
	if _, err := show(c, func(q *query.Reader) (*document.SSHKey, error) { return q.Key(c.path("key")) }); refused(err) {
		return Answer{}, err
	}
	cmd := &people.RemoveKey{ID: c.path("key")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfKey(cmd.Key, c.me()), nil)
}

// refused tells whether query refused, as opposed to finding nothing.
func refused(err error) bool {
	var r *query.Refusal
	return errors.As(err, &r)
}

// authorization shows a token, the caller's own with its ends, by which clients
// recognise it.
func (c *call) authorization(t *document.Token) view.Authorization {
	clear := ""
	if c.who.token != nil && c.who.token.ID == t.ID {
		clear = redact(c.who.shown)
	}
	return view.OfToken(t, c.me(), clear, c.cfg.Now())
}

// redact leaves the prefix and the last four characters, with the ten asterisks
// between that the CLI knows.
func redact(token string) string {
	if len(token) < 24 {
		return ""
	}
	return people.TokenPrefix + strings.Repeat("*", 10) + token[len(token)-4:]
}

func listAuthorizations(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Tokens, func(_ *query.Reader, t *document.Token) (view.Authorization, error) {
		return c.authorization(t), nil
	}, property[view.Authorization]{name: "id", text: func(a view.Authorization) string { return a.ID }})
}

// noSuch is a 404 that says of what, which the CLI's log-out reads.
func noSuch(resource string) error {
	return &problem{Status: http.StatusNotFound, ID: "not_found", Message: "Couldn't find that " + resource + ".", Resource: resource}
}

func getAuthorization(c *call) (Answer, error) {
	// "~" is Heroku's API key of the dashboard. There is none here.
	if c.path("authorization") == "~" {
		return Answer{}, noSuch("authorization")
	}
	return ok(show(c, func(q *query.Reader) (view.Authorization, error) {
		t, err := q.Token(c.path("authorization"))
		if err != nil {
			return view.Authorization{}, err
		}
		return c.authorization(t), nil
	}))
}

// maxTokenLife bounds expires_in: ten years, in seconds.
const maxTokenLife = 10 * 366 * 24 * 60 * 60

func createAuthorization(c *call) (Answer, error) {
	var in struct {
		Description string   `json:"description"`
		ExpiresIn   number   `json:"expires_in"`
		Scope       []string `json:"scope"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if err := checkScopes(in.Scope); err != nil {
		return Answer{}, err
	}
	if in.ExpiresIn.Set && (in.ExpiresIn.Value < 1 || in.ExpiresIn.Value > maxTokenLife) {
		return Answer{}, fault.New(fault.Invalid, "expires_in is a number of seconds, at least 1 and at most ten years.")
	}
	cmd := &people.CreateToken{
		Description: in.Description, Scope: in.Scope, ExpiresIn: time.Duration(in.ExpiresIn.Value) * time.Second,
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(view.OfToken(cmd.Token, c.me(), string(cmd.Secret.Reveal()), c.cfg.Now()), nil)
}

func revokeAuthorization(c *call) (Answer, error) {
	if c.path("authorization") == "~" {
		return Answer{}, noSuch("authorization")
	}
	cmd := &people.RevokeToken{ID: c.path("authorization")}
	err := c.execute(cmd)
	if kind := fault.Of(err); kind == fault.Forbidden || kind == fault.NotFound {
		// One that is somebody else's looks like one that does not exist.
		return Answer{}, fault.New(fault.NotFound, "Couldn't find that authorization.")
	}
	if err != nil {
		return Answer{}, err
	}
	return ok(c.authorization(cmd.Token), nil)
}

// Browser sessions are the console's; tokens have none.
func listOAuthSessions(*call) (Answer, error) { return ok([]struct{}{}, nil) }

func deleteOAuthSession(*call) (Answer, error) { return Answer{}, noSuch("session") }

// Accounts of others are the operators' business.

func listAccounts(c *call) (Answer, error) {
	return listed(c, (*query.Reader).Accounts, func(_ *query.Reader, a *document.Account) (view.Account, error) {
		return view.OfAccount(a), nil
	}, property[view.Account]{name: "id", text: func(a view.Account) string { return a.ID }},
		property[view.Account]{name: "email", text: func(a view.Account) string { return a.Email }})
}

func createAccount(c *call) (Answer, error) {
	var in struct {
		Email    string `json:"email"`
		Name     string `json:"name"`
		Password string `json:"password"`
		Operator bool   `json:"operator"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	release, err := c.hashing.acquire(c.ctx)
	if err != nil {
		return Answer{}, err
	}
	defer release()
	cmd := &people.CreateAccount{
		Email: in.Email, Name: in.Name, Password: secret.NewValue([]byte(in.Password)), Operator: in.Operator,
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return created(view.OfAccount(cmd.Account), nil)
}

func suspendAccount(c *call) (Answer, error) {
	cmd := &people.SuspendAccount{Email: c.path("account")}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	return ok(view.OfAccount(cmd.Account), nil)
}
