package api

import (
	"context"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

// What Heroku serves on a host of its own for its databases.

const (
	postgresService = "heroku-postgresql"
	postgresPort    = 5432
)

// database is the path's, if the caller has the route's permission on it.
func (c *call) database(q *query.Reader) (query.Addon, error) {
	x, err := q.Addon(c.path("database"), "", c.route.Need)
	if err == nil && x.Service != postgresService {
		return x, fault.New(fault.NotFound, "Couldn't find that database.")
	}
	return x, err
}

func getDatabase(c *call) (Answer, error) {
	x, err := show(c, c.database)
	if err != nil {
		return Answer{}, err
	}
	if x.State == document.AddonProvisioning {
		return Answer{}, fault.New(fault.NotFound, "The database is not provisioned yet.")
	}
	_, plan := planOf(x.Service, x.Plan)
	return ok(c.measured(x.Addon, view.OfDatabase(x.Addon, plan)), nil)
}

// statsPatience is how long pg:info waits for a database that is busy or down.
const statsPatience = 2 * time.Second

// measured adds what only the engine and the database know. Without it the rest
// is true all the same.
func (c *call) measured(a *document.Addon, out view.Database) view.Database {
	if c.cfg.Network == nil {
		return out
	}
	ctx, cancel := context.WithTimeout(c.ctx, statsPatience)
	defer cancel()
	if stats, err := c.cfg.Network.Stats(ctx, a); err != nil {
		c.log.Warn("a database does not tell its size", "addon", a.ID, "error", err)
	} else {
		out = out.WithStats(stats)
	}
	if used, size, err := c.cfg.Network.Disk(c.ctx, a.Volume); err != nil {
		c.log.Warn("usage of a database's disk is not known", "addon", a.ID, "error", err)
	} else {
		out = out.WithDisk(used, size)
	}
	return out
}

func getWaitStatus(c *call) (Answer, error) {
	x, err := show(c, c.database)
	if err != nil {
		return Answer{}, err
	}
	return ok(view.OfWaitStatus(x.Addon), nil)
}

func listCredentials(c *call) (Answer, error) {
	x, err := show(c, c.database)
	if err != nil {
		return Answer{}, err
	}
	out := []view.DatabaseCredential{}
	for _, r := range x.Roles {
		out = append(out, view.OfCredential(x.Addon, r))
	}
	return ok(out, nil)
}

// getCredential hands out a password, and that is on record.
func getCredential(c *call) (Answer, error) {
	x, err := show(c, c.database)
	if err != nil {
		return Answer{}, err
	}
	cmd := &addons.ReadCredential{Identity: x.ID, Name: c.path("credential"), For: "credentials"}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	shown := view.OfCredential(cmd.Addon, cmd.Role)
	return ok(shown.Reveal(addons.Host(cmd.Addon), postgresPort, string(cmd.Password.Reveal())), nil)
}

// getBastion makes a key that opens the way to the database, once, for the
// caller. It is recorded as a read of the database's credential: who has the
// one has a use for the other. The session is recorded when the key is used.
func getBastion(c *call) (Answer, error) {
	if c.cfg.Bastion == nil {
		return Answer{}, missing("The way to databases")
	}
	x, err := show(c, c.database)
	if err != nil {
		return Answer{}, err
	}
	cmd := &addons.ReadCredential{Identity: x.ID, Name: addons.DefaultCredential, For: "psql"}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	host, key, err := c.cfg.Bastion.Admit(c.ctx, c.by, cmd.Addon)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: http.StatusOK, Body: struct {
		Host       string `json:"host"`
		PrivateKey string `json:"private_key"`
	}{host, string(key.Reveal())}}, nil
}
