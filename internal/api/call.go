package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
)

// call is one request on its way through a route.
type call struct {
	*api
	route  Route
	ctx    context.Context
	w      http.ResponseWriter
	r      *http.Request
	by     control.By
	who    identity
	source netip.Addr
	log    *slog.Logger
}

// Answer is what a handler gives back.
type Answer struct {
	Status int // default 200
	Body   any // JSON; nil with Stream
	Header http.Header
	// Stream writes an answer that is not JSON.
	Stream      io.ReadCloser
	ContentType string
	// Written says that the handler wrote the answer itself.
	Written bool
}

// ok answers with a value.
func ok(body any, err error) (Answer, error) { return Answer{Body: body}, err }

// created answers with a value that is new.
func created(body any, err error) (Answer, error) {
	return Answer{Status: http.StatusCreated, Body: body}, err
}

// accepted answers with a value that is still being worked on.
func accepted(body any, err error) (Answer, error) {
	return Answer{Status: http.StatusAccepted, Body: body}, err
}

// path is a value of the route's path.
func (c *call) path(name string) string { return c.r.PathValue(name) }

// body reads the request's.
func (c *call) body(into any) error { return readBody(c.w, c.r, into) }

// execute runs a command as the caller.
func (c *call) execute(cmd control.Command) error {
	_, err := c.cfg.Kernel.Execute(c.ctx, cmd, c.by)
	return err
}

// read runs fn on a view as the caller.
func (c *call) read(fn func(*query.Reader) error) error {
	return c.cfg.Store.Read(c.ctx, func(v store.View) error { return fn(query.New(v, c.by.Subject())) })
}

// show reads what a command left behind and answers with it.
func show[T any](c *call, fn func(*query.Reader) (T, error)) (T, error) {
	var out T
	err := c.read(func(q *query.Reader) (err error) {
		out, err = fn(q)
		return err
	})
	return out, err
}

// listed reads a list and cuts it to the page that was asked for.
func listed[D, T any](c *call, read func(*query.Reader) ([]D, error), present func(*query.Reader, D) (T, error), properties ...property[T]) (Answer, error) {
	items := []T{}
	err := c.read(func(q *query.Reader) error {
		docs, err := read(q)
		if err != nil {
			return err
		}
		for _, d := range docs {
			x, err := present(q, d)
			if err != nil {
				return err
			}
			items = append(items, x)
		}
		return nil
	})
	if err != nil {
		return Answer{}, err
	}
	return page(c.r, items, properties...)
}

// app is the path's app, if the caller has the route's permission on it.
func (c *call) app(q *query.Reader) (query.App, error) { return q.App(c.path("app"), c.route.Need) }

// visibleApp is the path's app, if the caller sees it: for handlers that run a
// command, which asks for more.
func (c *call) visibleApp(q *query.Reader) (query.App, error) {
	return q.App(c.path("app"), authz.AppView)
}

func (c *call) space(q *query.Reader) (query.Space, error) {
	return q.Space(c.path("space"), c.route.Need)
}

func (c *call) team(q *query.Reader) (query.Team, error) { return q.Team(c.path("team"), c.route.Need) }

// visible refuses a caller who may not see what the path names, before
// anything else is said about it.
func (c *call) visible() error {
	return c.read(func(q *query.Reader) error {
		if c.route.has("app") {
			if _, err := c.visibleApp(q); err != nil {
				return err
			}
		}
		if c.route.has("space") {
			if _, err := q.Space(c.path("space"), authz.SpaceView); err != nil {
				return err
			}
		}
		if c.route.has("team") {
			if _, err := q.Team(c.path("team"), authz.TeamView); err != nil {
				return err
			}
		}
		return nil
	})
}

// seesTeam refuses a caller who names a team that they do not see, in the words
// of one that does not exist.
func (c *call) seesTeam(identity string) error {
	return c.read(func(q *query.Reader) error {
		_, err := q.Team(identity, authz.TeamView)
		return err
	})
}

// expand are the members that the client wants in full.
func (c *call) expand() view.Expand { return view.ParseExpand(c.r.Header.Get("Accept-Expansion")) }

// include are the members that the client wants in addition.
func (c *call) include() view.Expand { return view.ParseExpand(c.r.Header.Get("Accept-Inclusion")) }

// me is the caller's account as it was when they were authenticated.
func (c *call) me() *document.Account { return c.who.account }
