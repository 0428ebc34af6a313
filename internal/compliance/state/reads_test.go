package state_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/state"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// TestReads: an entry that changes what a check says has an action that the check
// reads, so that it says so at once and not when its time comes. What only the
// mutations' own command brings about, commands change whose actions it reads.
func TestReads(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	size := w.Size()
	for _, m := range mutations {
		if m.before != nil {
			m.before(w)
		}
		m.breaks(w)
		m.mends(w)
	}
	moreLife(w)
	writers := map[string][]string{} // actions by the kinds that they change
	for _, l := range w.Since(0) {
		for _, c := range l.Changes {
			if l.Action != (&write{}).Action() {
				writers[c.Kind] = append(writers[c.Kind], l.Action)
			}
		}
	}
	before := says(w, size, w.Now())
	noticed := 0
	for _, l := range w.Since(size) {
		after := says(w, l.Seq+1, w.Now())
		for _, c := range state.All() {
			if before[c.ID] == after[c.ID] {
				continue
			}
			noticed++
			actions := []string{l.Action}
			if l.Action == (&write{}).Action() {
				actions = writers[l.Changes[0].Kind]
			}
			if !slices.ContainsFunc(actions, func(a string) bool { return touches(c, a) }) {
				t.Errorf("entry %d, %s of %v, changes what %s says, which does not run after it", l.Seq, l.Action, actions, c.ID)
			}
		}
		before = after
	}
	if noticed < 2*len(state.All()) {
		t.Errorf("only %d changes", noticed)
	}
}

// says is what every check says of the state after some entries.
func says(w *commandtest.World, size int64, now time.Time) map[string]string {
	out := map[string]string{}
	if err := w.Store.At(w.T.Context(), size, func(v store.View) error {
		for _, c := range state.All() {
			results, err := c.State(v, now)
			if err != nil {
				return err
			}
			lines := make([]string, 0, len(results))
			for _, r := range results {
				lines = append(lines, fmt.Sprint(r.Subject, r.Status, r.Facts))
			}
			slices.Sort(lines)
			out[c.ID] = strings.Join(lines, "\n")
		}
		return nil
	}); err != nil {
		w.T.Fatal(err)
	}
	return out
}

func touches(c *compliance.Check, action string) bool {
	return slices.ContainsFunc(c.Reads, func(p string) bool { return strings.HasPrefix(action, p) })
}

// issued is a certificate by the authority of the space ward.
func issued(w *commandtest.World, name string) (chain string, key secret.Value) {
	ward := commandtest.Get[*document.Space](w, w.IDs["space:ward"])
	authority, err := w.Keyring.Open(w.T.Context(), ward.CAKey.ID, ward.CAKey.SHA256)
	if err != nil {
		w.T.Fatal(err)
	}
	chain, key, err = spaces.Issue(ward.CA, authority, []string{name}, 90*24*time.Hour, w.Now())
	if err != nil {
		w.T.Fatal(err)
	}
	return chain, key
}

// moreLife is more of an installation's life than commandtest has: what changes and
// ends what the checks read.
func moreLife(w *commandtest.World) {
	owner, admin := w.As("owner"), w.As("admin")
	w.Do(&teams.UpdatePolicy{Team: "care", ApproveConfig: new(true)}, owner)
	grant := &teams.GrantRole{Team: "care", Email: "stranger@example.org", Role: authz.Approver}
	w.Do(grant, owner)
	w.Do(&teams.DecideRequest{ID: grant.Request.ID, Grant: true}, admin)
	w.Do(&teams.RevokeRole{Team: "care", Email: "stranger@example.org"}, owner)
	w.Do(&people.Use{Account: w.IDs["account:dev"]}, w.As("dev"))
	w.Do(&people.RevokeToken{ID: w.IDs["token:viewer"]}, w.As("viewer"))
	w.Do(&people.SuspendAccount{Email: "collab@example.org"}, w.As("root"))

	w.Do(&releases.Rollback{App: "clinic", Identity: "2"}, owner)
	w.Do(&apps.Update{Identity: "clinic", EPHI: new("no")}, owner)
	w.Do(&spaces.SetTrusted{Identity: "ward", Rules: []document.TrustedIP{{Source: "192.0.2.0/24", Action: "allow"}}}, owner)
	w.Do(&spaces.Rename{Identity: "ward", Name: "wing"}, owner)
	chain, key := issued(w, "portal.example.org")
	w.Do(&apps.PutEndpoint{Identity: "clinic", Chain: chain, Key: key}, owner)
	w.Do(&apps.AddDomain{Identity: "clinic", Hostname: "portal.example.org"}, owner)
	w.Do(&sessions.Close{ID: w.IDs["session:open"], Interrupted: true}, commandtest.Platform)

	w.Do(&checks.Report{
		Check: "state.trusted-ips", Version: 1, Scope: w.IDs["space:ward"], Subject: "s", Name: "s", Status: document.StatusFail,
		Facts: []string{"f"}, Severity: "high", Due: time.Hour,
	}, commandtest.Platform)
	id := commandtest.Find[*document.Finding](w, "state", document.FindingOpen)[0].ID
	w.Do(&checks.Assign{ID: id, Email: "dev@example.org"}, owner)
	w.Do(&checks.Accept{ID: id, Reason: "r", Until: w.Now().Add(time.Hour)}, owner)
	w.Pass(2 * time.Hour)
	w.Do(&checks.Reopen{ID: id}, commandtest.Platform)

	w.Do(&addons.Destroy{Identity: "records", App: "clinic"}, owner)
	w.Do(&apps.Destroy{Identity: "other"}, w.As("stranger"))
	w.Do(&spaces.Destroy{Identity: "attic"}, w.As("stranger"))
	w.Do(&spaces.Gone{ID: w.IDs["space:attic"]}, commandtest.Platform)
}
