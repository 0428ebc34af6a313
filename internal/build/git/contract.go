package git

import (
	"context"
	"io"
	"net/http"
)

// Gate decides about a request.
type Gate interface {
	// Authorize answers whether the caller may read (fetch) or write (push)
	// the app that the URL names. Its error's fault kind is the answer:
	// Unauthenticated asks for credentials, Forbidden and NotFound refuse.
	Authorize(r *http.Request, app string, write bool) (Repo, error)
}

// Repo is an app's repository, for an authorised caller.
type Repo struct {
	App   string // UUID; names the directory
	Name  string // as shown to the pusher
	Actor any    // who calls; handed on to the Deployer
}

// Deployer deploys what was pushed.
type Deployer interface {
	// Deploy builds and releases a commit. What it writes to out is shown to
	// the pusher as it comes. An error rejects the push; a fault's message is
	// shown, of another error only that it failed. ctx goes on when the pusher
	// goes away; it ends with Config.DeployTimeout and with the handler.
	Deploy(ctx context.Context, push Push, out io.Writer) error
}

// Push is a commit that arrived at a branch that deploys.
type Push struct {
	Repo   Repo
	Ref    string // refs/heads/main or refs/heads/master
	Old    string // commit before; "" for the first
	Commit string

	repository *repository
	quarantine string // where the pushed objects lie until the push is accepted
}
