package simulation

import (
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// refusals are how often in the year each thing is tried that is refused.
const refusals = 4

// denials has people try what they may not do, and strangers come to the door.
func (l *life) denials() {
	ward, lab := l.space("ward"), l.space("lab")
	for n := range refusals {
		// Odd days of the fortnight are as good as others: nothing depends on it.
		at := func(day int) time.Time { return date(20 + n*80 + day).Add(l.within(24 * time.Hour)) }
		l.deny(at(1), l.who(ward.team, authz.Member), ward.team.id, func() control.Command {
			return &teams.GrantRole{Team: ward.team.name, Email: l.who(ward.team, authz.Viewer).email, Role: authz.Owner}
		})
		l.deny(at(2), l.who(ward.team, authz.Viewer), ward.id, func() control.Command { return &config.Read{App: "clinic"} })
		l.deny(at(3), l.who(ward.team, authz.Auditor), ward.id, func() control.Command {
			return &config.Set{App: "clinic", Values: setting("x")}
		})
		l.deny(at(4), l.who(lab.team, authz.Member), ward.id, func() control.Command { return &config.Read{App: "portal"} })
		l.deny(at(5), l.who(lab.team, authz.Member), lab.id, func() control.Command { return &spaces.Destroy{Identity: "lab"} })
		l.deny(at(6), l.who(lab.team, authz.Member), lab.id, func() control.Command {
			return &releases.Approve{App: "trials", Identity: l.current(lab.apps[0])}
		})
		l.deny(at(7), l.who(lab.team, authz.Viewer), l.space("attic").id, func() control.Command { return &spaces.Destroy{Identity: "attic"} })
		l.deny(at(8), nil, "", func() control.Command { return &people.Refuse{Why: "unknown token"} })
	}
	l.series(date(200).Add(l.within(24*time.Hour)), 6)
}

// deny has somebody try something, or somebody unknown if it is nobody.
func (l *life) deny(at time.Time, who *person, scope string, what func() control.Command) {
	l.at(at, func() error { return l.refused(who, scope, what()) })
}

func (l *life) refused(who *person, scope string, cmd control.Command) error {
	by := control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor, IP: "203.0.113.66"}, Via: ledger.ViaAPI}
	email := ""
	if who != nil {
		by, email = who.as(""), who.email
	}
	_, err := l.Kernel.Execute(l.ctx, cmd, by)
	switch fault.Of(err) {
	case fault.Forbidden, fault.Unauthenticated, fault.NotFound:
	default:
		return fmt.Errorf("%s should have been refused: %w", cmd.Action(), err)
	}
	l.truth.Denials = append(l.truth.Denials, Denial{l.Now(), cmd.Action(), scope, email})
	return nil
}

// series is one address trying passwords within seconds.
func (l *life) series(at time.Time, times int) {
	l.at(at, func() error {
		for range times {
			err := l.refused(nil, "", &people.Login{Email: l.root.email, Password: secretly("guessed")})
			if err != nil {
				return err
			}
			l.set(l.Now().Add(time.Second))
		}
		return nil
	})
}

// current is the id of the release of an app that is live.
func (l *life) current(a *app) (id string) {
	if err := l.Store.Read(l.ctx, func(v store.View) error {
		r, err := store.One[*document.Release](v, "current", a.id)
		if err == nil {
			id = r.ID
		}
		return err
	}); err != nil {
		return "" // and the command that is about it says so
	}
	return id
}
