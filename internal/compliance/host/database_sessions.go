package host

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/store"
)

// Session is somebody's connection to a database.
type Session struct {
	PID         int
	Role        string
	Application string // what it calls itself
	Address     string // "" = over the server's own socket
	Ours        bool   // it came by the platform's own way, which tunnels take too
	Since       time.Time
}

// platform is what the platform calls itself in a database.
const platform = "strongroom"

// databaseSessions: each connection to a database came from a dyno, through a
// tunnel on record, or is the platform's own.
func databaseSessions(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "host.database-sessions", Title: "Nobody is connected to a database past the platform", Version: 1,
		Every: often, Try: func(ctx context.Context) (out []compliance.Result, err error) {
			list, err := c.databases(ctx)
			if err != nil {
				return nil, err
			}
			sessions := c.Sessions(ctx, list)
			tunnels, err := c.tunnels(ctx)
			if err != nil {
				return nil, err
			}
			for _, a := range list {
				r := compliance.Result{Status: document.StatusUnknown, Facts: []string{"The database could not be asked who is connected to it."}}
				if s, asked := sessions[a.ID]; asked {
					r = judgeSessions(a, s, tunnels)
				}
				out = append(out, r.Of(a.Space, a.ID, a.Name))
			}
			return out, nil
		},
	}
}

// databases that run.
func (c Config) databases(ctx context.Context) (out []*document.Addon, err error) {
	err = c.Store.Read(ctx, func(v store.View) error {
		spaces, err := store.Find[*document.Space](v, "all", "")
		if err != nil {
			return err
		}
		for _, s := range spaces {
			list, err := store.Find[*document.Addon](v, "space", s.ID)
			if err != nil {
				return err
			}
			out = append(out, list...)
		}
		return nil
	})
	return slices.DeleteFunc(out, func(a *document.Addon) bool { return a.State != document.AddonProvisioned }), err
}

// tunnels gives the apps' databases, as "app/name", to which one is open. They
// are asked for after the sessions: whatever came through one was on record
// before.
func (c Config) tunnels(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	err := c.Store.Read(ctx, func(v store.View) error {
		list, err := store.Find[*document.Session](v, "open", "")
		for _, s := range list {
			out[s.App+"/"+s.Dyno] = true
		}
		return err
	})
	return out, err
}

func judgeSessions(a *document.Addon, list []Session, tunnels map[string]bool) compliance.Result {
	s := driver.NewSurvey("sessions")
	s.Look("", "sessions of others than the check", len(list))
	for _, x := range list {
		if why := x.past(a, tunnels[a.App+"/"+a.Name]); why != "" {
			s.Found("", "session", "The role %q is connected to %s since %s, process %d, as %q: %s.",
				x.Role, a.Name, x.Since.UTC().Format(time.DateTime+" UTC"), x.PID, x.Application, why)
		}
	}
	return judge(s.Parts[0])
}

// past says how a session came past the platform, "" if it did not. That only
// dynos with an attachment reach the database is for the network to see to.
func (x Session) past(a *document.Addon, tunnel bool) string {
	address, err := netip.ParseAddr(x.Address)
	known := slices.ContainsFunc(a.Roles, func(c document.Credential) bool { return c.User == x.Role })
	switch {
	case x.Address == "":
		return "over the socket in its container"
	case x.Ours && x.Application == platform:
		return ""
	case x.Ours && known && tunnel:
		return ""
	case x.Ours:
		return "by the platform's own way, and through no tunnel that is on record"
	case err != nil || address.IsLoopback():
		return "from inside of its container"
	case !known: // the superuser among them
		return "from " + address.String() + ", with a role that no app has"
	}
	return ""
}
