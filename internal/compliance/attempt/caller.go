package attempt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/command/attempts"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// tokenLife ends a token that a stopped program left behind.
const tokenLife = 5 * time.Minute

// onStage is what these attempts share: each would undo what another is about to try.
const onStage = "stage"

// caller asks the API with tokens of the stage's accounts.
type caller struct {
	Config
	*attempts.Stage
	check string
}

// calling is a Try that asks the API. The stage is set before it, and again
// after it: then tokens are gone, and what should have been refused is undone.
func calling(c Config, check string, fn func(*caller, context.Context) ([]compliance.Result, error)) func(context.Context) ([]compliance.Result, error) {
	return func(ctx context.Context) (out []compliance.Result, err error) {
		stage, err := c.stage(ctx)
		if err != nil {
			return nil, err
		}
		defer func() {
			_, serr := c.stage(context.WithoutCancel(ctx))
			err = errors.Join(err, serr)
		}()
		return fn(&caller{c, stage, check}, ctx)
	}
}

func by() control.By { return control.System("attempts", ledger.ViaProbe) }

// stage brings the stage to what it has to be.
func (c Config) stage(ctx context.Context) (*attempts.Stage, error) {
	var stage *attempts.Stage
	var ready bool
	if err := c.Store.Read(ctx, func(v store.View) (err error) {
		stage, ready, err = attempts.Find(v)
		return err
	}); err != nil || ready {
		return stage, err
	}
	cmd := &attempts.Set{}
	_, err := c.Kernel.Execute(ctx, cmd, by())
	return &cmd.Stage, err
}

// token makes one for an account, for the moment.
func (c *caller) token(ctx context.Context, account *document.Account, life time.Duration) (id string, token secret.Value, err error) {
	cmd := &people.CreateToken{Account: account.ID, Description: c.check, ExpiresIn: life}
	if _, err := c.Kernel.Execute(ctx, cmd, by()); err != nil {
		return "", secret.Value{}, err
	}
	return cmd.Token.ID, cmd.Secret, nil
}

// ask makes a request. Answers that say nothing of permissions are errors.
func (c *caller) ask(ctx context.Context, token secret.Value, method, path, body string) (Answer, error) {
	a, err := c.API.Do(ctx, Request{Token: token, Method: method, Path: path, Body: body, Reason: "the platform's own attempt: " + c.check})
	if err == nil && (a.Status == http.StatusTooManyRequests || a.Status >= 500) {
		err = provesNothing("%s %s was answered with %d: %s", method, path, a.Status, a.Message)
	}
	return a, err
}

// works makes a request that has to be granted.
func (c *caller) works(ctx context.Context, token secret.Value, method, path, body string) error {
	a, err := c.ask(ctx, token, method, path, body)
	if err == nil && a.Status/100 != 2 {
		err = provesNothing("%s %s, which is allowed, was answered with %d: %s", method, path, a.Status, a.Message)
	}
	return err
}

// try makes a request that has to be refused with one of the statuses. Another
// refusal, of a value say, came after the one that was to come: it went through.
func (c *caller) try(ctx context.Context, t *trial, who string, token secret.Value, method, path, body string, refusals ...int) error {
	a, err := c.ask(ctx, token, method, path, body)
	if err != nil {
		return err
	}
	said := ""
	if a.Message != "" {
		said = fmt.Sprintf(" (%s)", a.Message)
	}
	t.tried(slices.Contains(refusals, a.Status), "%s asked the API for %s %s: %d%s.", who, method, path, a.Status, said)
	return nil
}

// one is the result of the only subject: the installation.
func (t *trial) one(err error) ([]compliance.Result, error) {
	if err != nil {
		return nil, err
	}
	return []compliance.Result{t.result().Of("", "", "")}, nil
}
