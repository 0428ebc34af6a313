package attempts_test

import (
	"slices"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/attempts"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

func ready(w *commandtest.World) bool {
	var ready bool
	commandtest.Read(w, func(v commandtest.View) (err error) {
		_, ready, err = attempts.Find(v)
		return err
	})
	return ready
}

func set(w *commandtest.World) *attempts.Stage {
	w.T.Helper()
	cmd := &attempts.Set{}
	w.Do(cmd, commandtest.Platform)
	if !ready(w) {
		w.T.Error("the stage is not ready once it was set")
	}
	return &cmd.Stage
}

// roles of an account in the stage's team.
func roles(w *commandtest.World, s *attempts.Stage, a *document.Account) []string {
	var out []string
	for _, m := range commandtest.Find[*document.Member](w, "team+account", s.Team.ID+"+"+a.ID) {
		out = append(out, m.Roles...)
	}
	return out
}

func TestSet(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	if ready(w) {
		t.Error("ready before there is anything")
	}
	w.Refused(fault.Forbidden, "", &attempts.Set{}, w.As("root"))
	s := set(w)
	for _, a := range []*document.Account{s.Member, s.Admin, s.Suspended} {
		if a.Password != nil || a.Operator || len(commandtest.Find[*document.Token](w, "account", a.ID)) != 0 {
			t.Errorf("%s can log in: %+v", a.Email, a)
		}
		if list := commandtest.Find[*document.Member](w, "account", a.ID); len(list) != 1 {
			t.Errorf("%s is in %d teams", a.Email, len(list))
		}
	}
	if !s.Suspended.Suspended || s.Member.Suspended || s.Admin.Suspended {
		t.Error("the wrong account is suspended")
	}
	for role, a := range map[string]*document.Account{"member": s.Member, "admin": s.Admin, "owner": s.Suspended} {
		if got := roles(w, s, a); !slices.Equal(got, []string{role}) {
			t.Errorf("%s has the roles %v", a.Email, got)
		}
	}
	// Nobody makes a token for them, or logs in.
	w.Refused(fault.Forbidden, "", &people.CreateToken{Account: s.Member.ID}, w.As("root"))
	w.Refused(fault.Unauthenticated, "", &people.Login{Email: s.Member.Email, Password: *commandtest.Value("")}, control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor}})
}

// TestUndo: whatever an attempt left behind is gone afterwards, and nothing of
// others is.
func TestUndo(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	s := set(w)
	admin := control.By{Actor: ledger.Actor{Kind: ledger.AccountActor, ID: s.Admin.ID, Email: s.Admin.Email}}
	for name, act := range map[string]control.Command{
		"a role":    &teams.GrantRole{Team: attempts.TeamName, Email: s.Member.Email, Role: authz.Admin},
		"a request": &teams.GrantRole{Team: attempts.TeamName, Email: s.Member.Email, Role: authz.Approver},
		"no role":   &teams.RevokeRole{Team: attempts.TeamName, Email: s.Member.Email},
	} {
		w.Do(act, admin)
		if ready(w) {
			t.Errorf("ready with %s", name)
		}
		set(w)
		if got := roles(w, s, s.Member); !slices.Equal(got, []string{"member"}) {
			t.Errorf("after %s the roles are %v", name, got)
		}
	}
	w.Do(&people.CreateToken{Account: s.Suspended.ID, ExpiresIn: time.Minute}, commandtest.Platform)
	lines := w.Record(&attempts.Set{}, commandtest.Platform)
	if len(lines) != 1 || len(lines[0].Changes) != 1 || lines[0].Changes[0].Kind != "token" {
		t.Errorf("a token is taken away by %v", lines)
	}
	if list := commandtest.Find[*document.Token](w, "account", w.Accounts["dev"].ID); len(list) != 1 {
		t.Errorf("dev has %d tokens", len(list))
	}
}

// TestTaken: what somebody made is not made the platform's.
func TestTaken(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	w.Do(&teams.Create{Name: attempts.TeamName}, w.As("root"))
	w.Refused(fault.Conflict, commandtest.None, &attempts.Set{}, commandtest.Platform)
	w = commandtest.New(t, commandtest.Noon)
	w.Do(&people.CreateAccount{Email: "attempt-admin@" + document.NobodysDomain}, w.As("root"))
	w.Refused(fault.Conflict, commandtest.None, &attempts.Set{}, commandtest.Platform)
}
