package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// identity is who a request acts for.
type identity struct {
	account *document.Account
	token   *document.Token // nil: logged in with a password, for this request
	shown   string          // the token as the client showed it
}

// credentials are what a request brought along.
type credentials struct {
	token           string
	email, password string
}

// readCredentials takes a Bearer token, or HTTP Basic: an address and a
// password, or anything and a token (git sends heroku:TOKEN, the CLI's data
// commands :TOKEN, curl -u TOKEN: just that).
func readCredentials(r *http.Request) credentials {
	kind, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(kind) {
	case "bearer":
		return credentials{token: rest}
	case "basic":
		raw, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return credentials{token: rest} // and refused as such
		}
		user, password, _ := strings.Cut(string(raw), ":")
		if password == "" {
			return credentials{token: user}
		}
		return credentials{token: password, email: user, password: password}
	}
	return credentials{}
}

var unauthenticated = fault.New(fault.Unauthenticated, "Invalid credentials provided.")

// authenticate finds out who is calling. What fails is on record, unless there
// was nothing to be wrong.
func (a *api) authenticate(c *call) error {
	shown := readCredentials(c.r)
	if c.route.Password && strings.Contains(shown.email, "@") && !strings.HasPrefix(shown.password, people.TokenPrefix) {
		return a.logIn(c, shown)
	}
	var err error
	c.who, err = a.doorman().admit(c.ctx, shown.token, c.by)
	return err
}

func (a *api) doorman() *Authenticator {
	return &Authenticator{Store: a.cfg.Store, Kernel: a.cfg.Kernel, TrustedProxies: a.cfg.TrustedProxies, Now: a.cfg.Now}
}

// Authenticator tells who is behind a request by its token, for what is served
// beside the API: git.
type Authenticator struct {
	Store          store.Store
	Kernel         *control.Kernel
	TrustedProxies []netip.Prefix
	Via            ledger.Via // default ViaAPI
	Now            func() time.Time
}

// Authenticate gives the actor. What fails is on record. The token must be good
// for changes; permissions are the kernel's business.
func (d *Authenticator) Authenticate(r *http.Request) (control.By, error) {
	by := actorOf(r, requestID(r), source(r, d.TrustedProxies))
	if d.Via != "" {
		by.Via = d.Via
	}
	who, err := d.admit(r.Context(), readCredentials(r).token, by)
	if err != nil {
		return by, err
	}
	by = who.actor(by)
	if !scopeWrite.coveredBy(who.token.Scope) {
		_, err := d.Kernel.Execute(r.Context(), who.outOfScope("repository.push", scopeWrite), by)
		return by, err
	}
	return by, nil
}

// actorOf is who calls as long as nobody knows.
func actorOf(r *http.Request, id string, from netip.Addr) control.By {
	by := control.By{
		Actor: ledger.Actor{Kind: ledger.AnonymousActor, UserAgent: userAgent(r)}, Via: ledger.ViaAPI, RequestID: id,
	}
	if from.IsValid() {
		by.Actor.IP = from.String()
	}
	return by
}

// actor is who calls once it is known.
func (i identity) actor(by control.By) control.By {
	by.Actor.Kind, by.Actor.ID, by.Actor.Email = ledger.AccountActor, i.account.ID, i.account.Email
	if i.token != nil {
		by.Actor.Session = i.token.ID
	}
	return by
}

// admit looks a token up that was shown, and records one that is not good.
func (d *Authenticator) admit(ctx context.Context, shown string, by control.By) (identity, error) {
	if shown == "" {
		return identity{}, unauthenticated
	}
	who, err := d.identify(ctx, by, func(v store.View) (*document.Token, error) {
		return store.One[*document.Token](v, "digest", people.TokenDigest(shown))
	})
	who.shown = shown
	return who, err
}

// readmit is for a token that somebody need not show again: its id stands in an
// address that we signed for it.
func (d *Authenticator) readmit(ctx context.Context, id string, by control.By) (identity, error) {
	return d.identify(ctx, by, func(v store.View) (*document.Token, error) {
		return store.Get[*document.Token](v, id)
	})
}

// identify tells who is behind a token as it is now, and records one that is
// not good.
func (d *Authenticator) identify(ctx context.Context, by control.By, token func(store.View) (*document.Token, error)) (identity, error) {
	now := time.Now
	if d.Now != nil {
		now = d.Now
	}
	var who identity
	var refuse *people.Refuse
	err := d.Store.Read(ctx, func(v store.View) error {
		t, err := token(v)
		if fault.Of(err) == fault.NotFound {
			refuse = &people.Refuse{Why: "unknown token"}
			return nil
		}
		if err != nil {
			return err
		}
		refuse, err = who.check(v, t, now())
		return err
	})
	if err == nil && refuse == nil {
		d.used(ctx, who, by, now())
	}
	if err != nil || refuse == nil {
		return who, err
	}
	if _, err := d.Kernel.Execute(ctx, refuse, by); err != nil {
		return who, err
	}
	return who, unauthenticated // a refusal always comes back as an error; should it not, stay out
}

// used has it recorded, once a day, that an account was used. What could not be
// recorded is at the next request: whether this one can do without the ledger is
// decided where it is answered.
func (d *Authenticator) used(ctx context.Context, who identity, by control.By, now time.Time) {
	if people.Used(who.account, now) {
		return
	}
	by = who.actor(by)
	by.Reason = "" // it is of what comes next
	_, _ = d.Kernel.Execute(ctx, &people.Use{Account: who.account.ID}, by)
}

// check takes a token's account, or returns the command that records why the
// token is not good.
func (i *identity) check(v store.View, t *document.Token, now time.Time) (*people.Refuse, error) {
	if t.ExpiresAt != nil && !now.Before(*t.ExpiresAt) {
		return &people.Refuse{Why: "expired token", Token: t.ID, Account: t.Account}, nil
	}
	acct, err := store.Get[*document.Account](v, t.Account)
	if err != nil && fault.Of(err) != fault.NotFound {
		return nil, err
	}
	if err != nil || acct.Suspended {
		return &people.Refuse{Why: "suspended account", Token: t.ID, Account: t.Account}, nil
	}
	i.account, i.token = acct, t
	return nil, nil
}

// logIn checks an address and a password. Guessing is slow by design and
// limited by source and by address.
func (a *api) logIn(c *call, shown credentials) error {
	now := a.cfg.Now()
	_, ok1 := a.logins.take("from "+network(c.source), now)
	_, ok2 := a.logins.take("as "+strings.ToLower(shown.email)+" from "+network(c.source), now)
	if !ok1 || !ok2 {
		return fault.New(fault.TooMany, "Too many log-in attempts. Wait a minute and try again.")
	}
	release, err := a.hashing.acquire(c.ctx)
	if err != nil {
		return err
	}
	defer release()
	login := &people.Login{Email: shown.email, Password: secret.NewValue([]byte(shown.password))}
	if _, err := a.cfg.Kernel.Execute(c.ctx, login, c.by); err != nil {
		return err
	}
	c.who.account = login.Account
	a.doorman().used(c.ctx, c.who, c.by, now)
	return nil
}

// semaphore bounds work that is expensive on purpose.
type semaphore chan struct{}

func (s semaphore) acquire(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "The server is busy. Try again.")
	}
}

// outOfScope records that a token was used for more than it is good for.
func (i identity) outOfScope(action string, need tokenScope) control.Command {
	return &outOfScope{
		action: action, held: strings.Join(i.token.Scope, ","), need: need,
		aim: control.Aim{Target: ledger.Target{Kind: "token", ID: i.token.ID, Name: i.token.Description}, Need: authz.Anyone},
	}
}

type outOfScope struct {
	action string
	aim    control.Aim
	held   string
	need   tokenScope
}

// Action is what was tried.
func (c *outOfScope) Action() string { return c.action }

// Aim is the token.
func (c *outOfScope) Aim(store.View) (control.Aim, error) { return c.aim, nil }

// Decide always refuses.
func (c *outOfScope) Decide(store.View, control.By, time.Time, *control.Decision) error {
	return fault.New(fault.Forbidden, "This token is good for %s and this needs %s. Create another: heroku authorizations:create -s %s", c.held, c.need, c.need)
}
